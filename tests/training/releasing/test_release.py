import json
import zipfile
from pathlib import Path

import pytest

from brain_tumor_training.bundles.export import metrics_of
from brain_tumor_training.calibration.run_calibration import calibration_of
from brain_tumor_training.data.cache import cached_names
from brain_tumor_training.main import main
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.models.bundle import load_bundle
from BrainTumorSegLib.engine.models.index import read_index
from tiny_runs import SETTINGS, write_folded_data, write_recipe

STEP = {"_target_": f"{SETTINGS}Phase", "steps": 1}
SLICES = {
    "network": "ResUNetPlusPlusLite0",
    "arguments": {"input_channels": 5},
    "channels": ["t1", "flair", "t1c", "flair_below", "flair_above"],
    "phases": [{**STEP, "size_px": 256, "crop_px": 64}],
    "validation": None,
}
CLASSIFIER = {
    **SLICES,
    "task": "classification",
    "network": "EfficientNetLite0Classifier",
    "init": "segmentation",
    "loss": "slice_cross_entropy",
    "phases": [{**STEP, "size_px": 128}],
}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that makes a release of two folds with one patient each, in its own folder."""
    folder = tmp_path_factory.mktemp("release")
    data = write_folded_data(folder / "data", patients=2)
    classifier = write_recipe(folder, **CLASSIFIER)
    arguments = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv", "--run", folder / "run"]
    options = ["--refine", "steps=1", "warmup_steps=1", "--classifier", classifier, "--device", "cpu"]
    named = ["--name", "tiny", "--version", "2.0.0", "--title", "Tiny", "--release", folder / "release"]
    return ["release", *map(str, [write_recipe(folder, **SLICES), *arguments, *options, *named])]


@pytest.fixture(scope="module")
def made(command: list[str]) -> Path:
    """The folder in which it has made one."""
    assert main(command) == 0
    return Path(command[command.index("--run") + 1]).parent


def test_one_command_goes_from_data_to_bundles_of_all_patients(made: Path) -> None:
    names = cached_names(made / "data" / "cache")
    segmentation, classifier = (
        next(one for one in read_index(made / "release" / "index.json").models if one.task == task)
        for task in ("segmentation", "classification")
    )
    assert (segmentation.name, segmentation.version, segmentation.classifier) == ("tiny", "2.0.0", "tiny-slices")
    assert (classifier.name, classifier.classifier) == ("tiny-slices", None)
    for entry, run in ((segmentation, "refined"), (classifier, "classifier")):
        assert list(RunFolder(made / "run" / "all" / run).split().training) == names
        bundle = load_bundle(made / "release" / entry.file)
        chosen = calibration_of(made / "run" / "all" / run)
        assert chosen is not None
        assert chosen["patients"] == 2
        assert chosen["chosen_on"] == "held-out patients of all 2 folds, by the folds' models"
        assert bundle.recommendation.temperature == pytest.approx(chosen["recommendation"]["temperature"])
        assert entry.metrics == metrics_of(made / "run" / "evaluation" / "metrics.json")
    assert load_bundle(made / "release" / segmentation.file).refiner is not None


def test_the_figures_are_said_to_be_of_the_folds(made: Path) -> None:
    with zipfile.ZipFile(made / "release" / "tiny-2.0.0.zip") as bundle:
        card = bundle.read("tiny/docs/README.md").decode()
    assert "on 2 patients in 2 folds, each held out from the models that measured it" in card
    assert "trained on all of them and can't be measured on them" in card


def test_the_same_command_trains_nothing_twice(made: Path, command: list[str]) -> None:
    weights = sorted((made / "run").glob("*/*/weights.pt"))
    before = [path.stat().st_mtime_ns for path in weights]
    bundle = (made / "release" / "tiny-2.0.0.zip").read_bytes()
    assert len(weights) == 9
    assert main([*command, "--resume"]) == 0
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert (made / "release" / "tiny-2.0.0.zip").read_bytes() == bundle
    content = json.loads((made / "run" / "evaluation" / "metrics.json").read_text())
    assert content["metrics"]["patients"] == 2
