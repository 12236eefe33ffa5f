import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brain_tumor_training.bundles.fold_bundles import FoldRuns
from brain_tumor_training.calibration import fold_calibration
from brain_tumor_training.calibration.fold_calibration import calibrate_on_other_folds
from brain_tumor_training.calibration.run_calibration import calibration_of
from brain_tumor_training.data.cache import cached_names
from brain_tumor_training.fitting.prediction import PatientLogits
from brain_tumor_training.main import main
from BrainTumorSegLib.engine.errors import InputError
from tiny_runs import SETTINGS, write_folded_data, write_recipe

CLASSIFIER = {
    "task": "classification",
    "network": "EfficientNetLite0Classifier",
    "loss": "slice_cross_entropy",
    "phases": [{"_target_": f"{SETTINGS}Phase", "size_px": 128, "steps": 1}],
    "validation": None,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folded_data(tmp_path_factory.mktemp("data"), patients=2)


@pytest.fixture(scope="module")
def validated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command ``crossvalidate`` on two folds of one patient each."""
    folder = tmp_path_factory.mktemp("cv")
    classifier = write_recipe(folder, **CLASSIFIER)
    recipe = write_recipe(folder, validation=None)
    arguments = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv", "--run", folder / "cv"]
    options = ["--classifier", classifier, "--device", "cpu"]
    assert main(["crossvalidate", str(recipe), *map(str, [*arguments, *options])]) == 0
    return folder / "cv"


def test_every_held_out_patient_is_measured_once_by_its_folds_models(validated: Path, data: Path) -> None:
    names = cached_names(data / "cache")
    content = json.loads((validated / "evaluation" / "metrics.json").read_text())
    assert content["metrics"]["patients"] == 2
    assert content["metrics"]["gate_cost"]["mean_volumetric_dice_lost"]["value"] is not None
    assert content["metrics"]["maximum_probability"]["roc_auc"]["value"] is not None
    assert content["about"]["run by"] == "braintumorseg worker"
    rows = list(csv.DictReader((validated / "evaluation" / "per_patient.csv").open()))
    assert [row["patient"] for row in rows] == names
    assert rows[0]["model"] != rows[1]["model"]
    fold = json.loads((validated / "fold-1" / "segmentation" / "splits.json").read_text())
    assert list(fold["training"]) == [names[0]]
    page = (validated / "evaluation" / "evaluation.md").read_text()
    for heading in ("# Evaluation", "## Which slices hold tumour", "## What the gate costs", "## Subgroups"):
        assert heading in page
    assert "| fold 1 | 1 |" in page
    assert re.search(
        r"\| 1 \| segmentation \| \d\.\d{3} \| 0\.\d+ \| – \| [\d.]+ \| held-out patients of the other", page
    )
    assert "{" not in page


def test_what_was_chosen_for_a_fold_was_chosen_on_the_other_folds_patients(validated: Path) -> None:
    content = json.loads((validated / "evaluation" / "metrics.json").read_text())
    chosen = content["about"]["calibration"]["0"]["segmentation"]
    assert chosen == calibration_of(validated / "fold-0" / "segmentation")
    assert (chosen["patients"], chosen["chosen_on"]) == (1, "held-out patients of the other 1 folds")
    gates = [row["gate"] for row in csv.DictReader((validated / "evaluation" / "per_patient.csv").open())]
    for fold, gate in enumerate(gates):
        expected = calibration_of(validated / f"fold-{fold}" / "classifier")["recommendation"]["gate"]
        assert float(gate) == pytest.approx(expected)


def test_runs_of_folds_are_evaluated_in_one_table(validated: Path, data: Path, tmp_path: Path) -> None:
    arguments = ["--data", data, "--folds", data / "folds.csv", "--limit", 1, "--gate", "off", "--device", "cpu"]
    pattern = str(validated / "fold-{fold}" / "segmentation")
    assert main(["evaluate", str(tmp_path), "--segmentation-runs", pattern, *map(str, arguments)]) == 0
    rows = list(csv.DictReader((tmp_path / "per_patient.csv").open()))
    before = list(csv.DictReader((validated / "evaluation" / "per_patient.csv").open()))
    assert [row["volumetric_dice"] for row in rows] == [row["volumetric_dice_gate_off"] for row in before]


def test_a_run_is_not_measured_on_its_training_patients(validated: Path, data: Path, tmp_path: Path) -> None:
    one, other = cached_names(data / "cache")
    runs = FoldRuns(str(validated / "fold-{fold}" / "segmentation"))
    with pytest.raises(InputError, match=r"was trained on 1 patients of fold 0.*Give the run that was trained"):
        runs.releases({0: [other], 1: [one]}, tmp_path)
    with pytest.raises(InputError, match=r"names one run for 2 folds.*Put \{fold\}"):
        FoldRuns(str(validated / "fold-0" / "segmentation")).releases({0: [one], 1: [other]}, tmp_path)


def test_no_fold_is_calibrated_on_its_own_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold 2's patient alone has logits far too high: it must cool the other folds, not its own."""
    truth = np.zeros((2, 8, 8), bool)
    truth[0, :4] = True
    rng = np.random.default_rng(0)
    signal = np.where(truth, 1.0, -1.0) + rng.normal(0, 1.5, truth.shape)

    def fake(run: Path, names: list[str], _cache: Path, _device: str) -> list[PatientLogits]:
        factor = 30.0 if run.name == "2" else 1.0
        return [PatientLogits(name, (factor * signal).astype(np.float32), truth) for name in names]

    monkeypatch.setattr(fold_calibration, "held_out_logits", fake)
    runs = {fold: tmp_path / str(fold) for fold in range(3)}
    for run in runs.values():
        run.mkdir()
    calibrate_on_other_folds(runs, {fold: [f"p{fold}"] for fold in runs}, tmp_path, "cpu")
    temperatures = [calibration_of(run)["recommendation"]["temperature"] for run in runs.values()]
    assert temperatures[0] == temperatures[1] > 2 * temperatures[2]


def test_a_run_that_was_not_calibrated_says_so() -> None:
    runs = FoldRuns("r-{fold}")
    assert replace(runs, classifier="c-{fold}").calibration(3) == {"classifier": None, "segmentation": None}
