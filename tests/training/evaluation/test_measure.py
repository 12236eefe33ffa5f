import csv
import json
from pathlib import Path

import pytest

from brain_tumor_training.bundles.bundle import export_bundle
from brain_tumor_training.bundles.description import BundleDescription
from brain_tumor_training.bundles.index import write_index
from brain_tumor_training.evaluation.measure import EvaluationRequest, measure
from brain_tumor_training.evaluation.plan import Models, Patients, ProgramSettings
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.bundle import Recommendation
from BrainTumorSegLib.engine.settings import RunSettings
from bundles import CHANNELS_2D, bright_flair_network
from kaggle_phantom import write_data_set


def test_an_evaluation_is_made_from_python_with_values(tmp_path: Path) -> None:
    names = write_data_set(tmp_path / "data", patients=2)
    description = BundleDescription(
        "bright", "1.0.0", "b", "test", "ResUNet", {}, tuple(CHANNELS_2D), "scratch", 0, Recommendation()
    )
    export_bundle(description, bright_flair_network().state_dict(), tmp_path / "release")
    write_index(tmp_path / "release", [description])
    told: list[tuple[int, int]] = []
    program = ProgramSettings(RunSettings(device="cpu", tta=False))
    request = EvaluationRequest(
        tmp_path / "out", Patients(tmp_path / "data"), Models(tmp_path / "release"), program, about={"study": "phantom"}
    )
    measured = measure(request, lambda done, total: told.append((done, total)))
    assert [one.name for one in measured.outcomes] == names
    assert measured.gate_off is None
    assert measured.summary["volumetric_dice"]["mean"].value > 0.95
    assert told == [(1, 2), (2, 2)]
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["about"]["study"] == "phantom"
    assert content["about"]["options"] == program.options.arguments()
    rows = list(csv.DictReader((tmp_path / "out" / "per_patient.csv").open()))
    assert [row["volumetric_dice"] for row in rows] == [f"{one.volumetric_dice:.5f}" for one in measured.outcomes]
    assert (tmp_path / "out" / "evaluation.md").read_text().startswith("# Evaluation")


def test_an_evaluation_without_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Which studies to evaluate is not clear.*--data or --external"):
        measure(EvaluationRequest(tmp_path / "out", Patients()))
