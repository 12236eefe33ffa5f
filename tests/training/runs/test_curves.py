import csv
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brain_tumor_training.fitting.trainer import Trainer
from brain_tumor_training.recipes.settings import ValidationSettings
from brain_tumor_training.runs.run_folder import RunFolder
from training_phantom import CPU, load_pools, tiny_network, tiny_settings


def _curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """(step, value) as TensorBoard itself reads the folder."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(one.step, one.value) for one in events.Scalars(name)]


def _rows(path: Path, phase: int) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["phase"] == str(phase)]


@pytest.mark.parametrize("phase", [0, 1])
def test_tensorboard_shows_what_the_csv_files_hold(tmp_path: Path, phase: int) -> None:
    settings = tiny_settings(validation=ValidationSettings(every_steps=2))
    Trainer(tiny_network(), settings, CPU, tmp_path).fit(load_pools)
    folder = tmp_path / "tensorboard" / f"phase-{phase}"
    for kind, column, file in (
        ("training", "loss", "log.csv"),
        ("training", "learning_rate", "log.csv"),
        ("validation", "loss", "validation.csv"),
        ("validation", "score", "validation.csv"),
    ):
        expected = [(int(row["step"]), float(row[column])) for row in _rows(tmp_path / file, phase)]
        found = _curve(folder, f"{kind}/{column}")
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=5e-3, abs=1e-5)
        assert expected


def test_what_came_after_the_last_checkpoint_is_shown_once(tmp_path: Path) -> None:
    interrupted = RunFolder(tmp_path)
    for step in (20, 40, 60):
        interrupted.log(0, step, loss=1.0, rate=0.1, slices_per_s=5.0)
    resumed = RunFolder(tmp_path)
    resumed.forget_after(0, 40)
    resumed.log(0, 60, loss=0.5, rate=0.1, slices_per_s=5.0)
    resumed.log(1, 20, loss=0.25, rate=0.1, slices_per_s=5.0)
    assert _curve(tmp_path / "tensorboard" / "phase-0", "training/loss") == [(20, 1.0), (40, 1.0), (60, 0.5)]
    assert _curve(tmp_path / "tensorboard" / "phase-1", "training/loss") == [(20, 0.25)]
