import json
import shutil
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from monai.bundle import run as run_config

from brain_tumor_training.bundles.bundle import export_bundle
from brain_tumor_training.bundles.description import BundleDescription
from brain_tumor_training.bundles.index import update_index
from brain_tumor_training.bundles.shortening import shortened
from brain_tumor_training.data.cache import cached_names
from brain_tumor_training.data.splits import Split
from brain_tumor_training.main import main
from brain_tumor_training.recipes.recipe import FOLDER, load_recipe
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.bundle import Recommendation, load_bundle
from BrainTumorSegLib.engine.models.index import read_index
from BrainTumorSegLib.engine.networks.registry import build_network
from tiny_runs import SETTINGS, write_folded_data, write_recipe
from training_phantom import CPU


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folded_data(tmp_path_factory.mktemp("data"), patients=4)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the command ``fit`` on fold 0's training side."""
    folder = tmp_path_factory.mktemp("run")
    arguments = ["--cache", data / "cache", "--folds", data / "folds.csv", "--fold", 0, "--data", data]
    options = ["--run", folder / "run", "--device", "cpu"]
    assert main(["fit", str(write_recipe(folder)), *map(str, [*arguments, *options])]) == 0
    return folder / "run"


def test_a_run_says_how_its_weights_were_made(run: Path, data: Path) -> None:
    names = cached_names(data / "cache")
    split = RunFolder(run).split()
    assert {*split.training, *split.validation} == {names[1], names[3]}
    assert split.protocol == "patients"
    environment = json.loads((run / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__
    assert RunFolder(run).settings().network == "ResUNet"
    assert (run / "log.csv").is_file()
    assert (run / "validation.csv").is_file()


def test_another_recipe_does_not_go_on_in_the_same_folder(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(run / "settings.json", tmp_path)
    arguments = ["--cache", data / "cache", "--run", tmp_path, "--device", "cpu"]
    assert main(["fit", str(write_recipe(tmp_path, seed=5)), *map(str, arguments)]) == 2
    assert "holds a run with another settings.json" in capsys.readouterr().err


def test_a_run_of_a_version_with_fewer_settings_is_still_the_same_run(tmp_path: Path) -> None:
    settings, split = load_recipe("ablation_short"), Split({"a": [0]}, {}, {}, "patients")
    run = RunFolder(tmp_path)
    run.begin(settings, split, CPU)
    stored = json.loads((tmp_path / "settings.json").read_text())
    del stored["sampling"]["equal"]
    (tmp_path / "settings.json").write_text(json.dumps(stored))
    run.begin(settings, split, CPU)
    changed = replace(settings, sampling=replace(settings.sampling, equal="patients"))
    with pytest.raises(InputError, match=r"another settings\.json.*Choose another folder"):
        run.begin(changed, split, CPU)


def test_a_finished_run_is_not_taken_for_one_with_other_settings(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--cache", data / "cache", "--folds", data / "folds.csv", "--fold", 0, "--run", run, "--device", "cpu"]
    assert main(["fit", str(write_recipe(tmp_path, seed=5)), *map(str, arguments)]) == 2
    assert "holds a run with another settings.json" in capsys.readouterr().err


def test_calibrated_and_exported_the_run_is_a_model_that_loads(run: Path, data: Path, tmp_path: Path) -> None:
    assert main(["calibrate", str(run), "--cache", str(data / "cache"), "--device", "cpu"]) == 0
    arguments = ["--name", "tiny", "--version", "0.2.0", "--release", str(tmp_path), "--min-volume-ml", "0.25"]
    assert main(["export", str(run), *arguments]) == 0
    chosen = json.loads((run / "calibration.json").read_text())["recommendation"]
    bundle = load_bundle(tmp_path / "tiny-0.2.0.zip")
    assert bundle.recommendation == Recommendation(**chosen | {"min_volume_ml": 0.25})
    assert bundle.channels == ("t1", "flair", "t1c")
    weights = RunFolder(run).finished_weights()
    torch.testing.assert_close(bundle.network.output.weight.detach(), weights["output.weight"], rtol=2**-6, atol=1e-6)
    torch.testing.assert_close(bundle.network.output.bias.detach(), weights["output.bias"], rtol=2**-11, atol=1e-6)
    assert read_index(tmp_path / "index.json").entry().name == "tiny"


def test_stored_weights_are_the_shortened_ones(run: Path, tmp_path: Path) -> None:
    assert main(["export", str(run), "--name", "tiny", "--version", "0.2.0", "--release", str(tmp_path)]) == 0
    stored = load_bundle(tmp_path / "tiny-0.2.0.zip").network.state_dict()
    trained = RunFolder(run).finished_weights()
    assert all(torch.equal(tensor, shortened(trained[name]).to(tensor.dtype)) for name, tensor in stored.items())


def test_a_bundle_shows_its_calibration_and_its_figures(run: Path, data: Path, tmp_path: Path) -> None:
    assert main(["calibrate", str(run), "--cache", str(data / "cache"), "--device", "cpu"]) == 0
    export = ["export", str(run), "--name", "tiny", "--release", str(tmp_path / "release")]
    assert main(export) == 0
    path = tmp_path / "release" / "tiny-1.0.0.zip"
    with zipfile.ZipFile(path) as archive:
        assert {one for one in archive.namelist() if one.endswith(".png")} == {"tiny/docs/calibration.png"}
    evaluated = tmp_path / "evaluated"
    arguments = ["--data", data, "--folds", data / "folds.csv", "--fold", 0, "--release", tmp_path / "release"]
    assert main(["evaluate", str(evaluated), *map(str, arguments), "--device", "cpu", "--limit", "1"]) == 0
    told = ["--metrics", str(evaluated / "metrics.json"), "--measured", "Measured by its recipe on other folds"]
    assert main([*export, *told]) == 0
    with zipfile.ZipFile(path) as archive:
        card = archive.read("tiny/docs/README.md").decode()
        for name in ("calibration", "metrics"):
            assert archive.read(f"tiny/docs/{name}.png").startswith(b"\x89PNG")
            assert f"![{name}]({name}.png)" in card
        assert "Measured by its recipe on other folds:\n" in card
    load_bundle(path)


def test_a_run_that_kept_nobody_aside_is_not_calibrated(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    split = json.loads((run / "splits.json").read_text())
    (tmp_path / "run" / "splits.json").write_text(json.dumps(split | {"validation": {}}))
    assert main(["calibrate", str(tmp_path / "run"), "--cache", str(tmp_path)]) == 2
    assert "kept no patients aside" in capsys.readouterr().err


def test_an_unfinished_run_is_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--name", "x", "--release", str(tmp_path)]) == 2
    assert "is not finished" in capsys.readouterr().err


def _description(name: str, version: str, network: str = "ResUNet") -> BundleDescription:
    return BundleDescription(
        name, version, name, "made for a test", network, {}, ("t1", "flair", "t1c"), "scratch", 1, Recommendation()
    )


def test_the_index_keeps_its_order_and_default_when_a_model_is_replaced(tmp_path: Path) -> None:
    weights = build_network("ResUNet", {}).state_dict()
    for name, version in (("a", "1.0.0"), ("b", "1.0.0"), ("a", "1.1.0")):
        export_bundle(_description(name, version), weights, tmp_path)
        update_index(tmp_path, _description(name, version))
    index = read_index(tmp_path / "index.json")
    assert [(one.name, one.version, one.default) for one in index.models] == [
        ("a", "1.1.0", True),
        ("b", "1.0.0", False),
    ]


def test_the_same_weights_give_the_same_file(tmp_path: Path) -> None:
    weights = build_network("ResUNet", {}).state_dict()
    one = export_bundle(_description("a", "1.0.0"), weights, tmp_path / "1")
    other = export_bundle(_description("a", "1.0.0"), weights, tmp_path / "2")
    assert one.read_bytes() == other.read_bytes()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = build_network("ResUNetPlusPlus", {}).state_dict()
    with pytest.raises(InputError, match=r"don't fit ResUNet"):
        export_bundle(_description("a", "1.0.0"), weights, tmp_path)


def test_monais_bundle_runner_trains_by_a_recipe(data: Path, tmp_path: Path) -> None:
    changes = {
        "settings::network": "ResUNet",
        "settings::init": "scratch",
        "settings::phases": [{"_target_": f"{SETTINGS}Phase", "size_px": 128, "steps": 1}],
        "settings::batch_size": 2,
        "settings::averaged_phases": 1,
    }
    recipe = str(FOLDER / "release_segmentation.yaml")
    run_config(config_file=recipe, cache=str(data / "cache"), run_folder=str(tmp_path / "run"), **changes)
    assert RunFolder(tmp_path / "run").is_finished


def test_the_recipe_of_the_release_survives_a_run_folder(tmp_path: Path) -> None:
    settings = load_recipe("dai_resunet_plus_plus_adam")
    (tmp_path / "settings.json").write_text(json.dumps(asdict(settings)))
    assert asdict(RunFolder(tmp_path).settings()) == asdict(settings)


@pytest.mark.parametrize(
    ("init", "named"), [("scratch", False), ("imagenet_lite0", True), ("segmentation", True)], ids=str
)
def test_the_data_licence_names_the_imagenet_weights_that_training_started_from(
    tmp_path: Path, init: str, named: bool
) -> None:
    network = build_network("ResUNet", {"input_channels": 3})
    channels = ("t1", "flair", "t1c")
    description = BundleDescription(
        "b", "1.0.0", "B", "B.", "ResUNet", {"input_channels": 3}, channels, init, 2, Recommendation()
    )
    with zipfile.ZipFile(export_bundle(description, network.state_dict(), tmp_path)) as archive:
        assert ("Apache License 2.0" in archive.read("b/docs/data_license.txt").decode()) == named
