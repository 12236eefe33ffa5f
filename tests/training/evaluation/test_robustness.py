import csv
import json
from pathlib import Path

import numpy as np
import pytest

from brain_tumor_training.bundles.bundle import export_bundle
from brain_tumor_training.bundles.description import BundleDescription
from brain_tumor_training.bundles.index import write_index
from brain_tumor_training.evaluation.changes import CHANGES
from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.evaluation.plan import Models, Patients, ProgramSettings
from brain_tumor_training.evaluation.robustness import (
    DEFAULT_CHANGES,
    RobustnessRequest,
    measure_robustness,
    robustness_rows,
    robustness_table,
)
from brain_tumor_training.main import main
from brain_tumor_training.metrics.overlap import count_slices
from BrainTumorSegLib.engine.models.bundle import Recommendation
from bundles import CHANNELS_2D, bright_flair_network
from kaggle_phantom import write_data_set


def _outcome(name: str, found: int) -> PatientOutcome:
    """50 voxels of tumour, of which so many were found."""
    reference = np.arange(100).reshape(1, 10, 10) < 50
    predicted = np.arange(100).reshape(1, 10, 10) < found
    return PatientOutcome(name, count_slices(predicted, reference), None, np.ones(1), 1.0, None, {}, 1.0)


def _release(folder: Path) -> Path:
    """A release folder with a network that takes what is bright on FLAIR for tumour."""
    description = BundleDescription(
        "bright", "1.0.0", "b", "test", "ResUNet", {}, tuple(CHANNELS_2D), "scratch", 0, Recommendation()
    )
    export_bundle(description, bright_flair_network().state_dict(), folder)
    write_index(folder, [description])
    return folder


def test_drops_are_told_patient_by_patient_whatever_their_order() -> None:
    rows = robustness_rows(
        {"unchanged": [_outcome("a", 50), _outcome("b", 25)], "flair-only": [_outcome("b", 25), _outcome("a", 25)]}, 0
    )
    assert rows[1]["mean_drop"].value == pytest.approx(1 / 6)
    assert rows[1]["largest_drop"] == pytest.approx(1 / 3)
    assert rows[1]["patient_of_largest_drop"] == "a"
    lines = robustness_table(rows).splitlines()
    assert lines[2].startswith("| unchanged | 0.8333")
    assert "| **no** |" in lines[3]


def test_the_default_changes_cover_sequences_brightness_sampling_and_masking() -> None:
    assert set(DEFAULT_CHANGES) <= set(CHANGES)
    assert {"flair-only", "brightness-0.3", "brightness-3", "in-plane-0.7mm", "in-plane-1.2mm", "brain-masked"} < set(
        DEFAULT_CHANGES
    )


def test_the_command_measures_the_same_patients_under_every_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = write_data_set(tmp_path / "data", patients=2)
    release = _release(tmp_path / "release")
    arguments = ["--data", tmp_path / "data", "--release", release, "--changes", "flair-only", "in-plane-1.2mm"]
    assert main(["robustness", str(tmp_path / "out"), *map(str, arguments)]) == 0
    content = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert [row["change"] for row in content["rows"]] == ["unchanged", "flair-only", "in-plane-1.2mm"]
    # The network sees nothing but FLAIR: without the others nothing changes, and resampling costs little.
    assert content["rows"][1]["mean_drop"]["value"] == 0
    assert 0 < abs(content["rows"][2]["mean_drop"]["value"]) < 0.1
    rows = list(csv.DictReader((tmp_path / "out" / "per_patient.csv").open()))
    assert [row["patient"] for row in rows] == names
    assert float(rows[0]["flair-only"]) > 0.95
    assert "| flair-only |" in capsys.readouterr().out


def test_robustness_is_measured_from_python_with_values(tmp_path: Path) -> None:
    data, release = tmp_path / "data", _release(tmp_path / "release")
    write_data_set(data, patients=1)
    told: list[tuple[int, int]] = []
    request = RobustnessRequest(
        tmp_path / "out", Patients(data), Models(release), changes=["flair-only"], program=ProgramSettings(cold=False)
    )
    rows = measure_robustness(request, lambda done, total: told.append((done, total)))
    assert [row["change"] for row in rows] == ["unchanged", "flair-only"]
    assert rows[1]["mean_drop"].value == 0
    assert told == [(1, 2), (2, 2)]
    assert json.loads((tmp_path / "out" / "robustness.json").read_text())["about"]["seed"] == 0
