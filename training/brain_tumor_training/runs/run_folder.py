"""The folder of a run: everything that is needed to say how its weights were made, and to go on with it."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from brain_tumor_training.data.splits import Split
from brain_tumor_training.recipes.settings import TrainingSettings, settings_from
from brain_tumor_training.runs import curves
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.inference.device import Compute

_PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK", "scikit-learn")
_LOG = ["phase", "step", "loss", "learning_rate", "slices_per_s"]
_VALIDATION = ["phase", "step", "loss", "score"]


class RunFolder:
    """Names and formats of a run's files. Weights are plain state dicts, read back with weights_only."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.weights = folder / "weights.pt"
        self._curves = curves.Curves(folder / curves.FOLDER)

    @property
    def is_finished(self) -> bool:
        """Whether the weights are there."""
        return self.weights.is_file()

    def begin(self, settings: TrainingSettings, split: Split, compute: Compute) -> None:
        """Writes settings.json, splits.json and environment.json.

        Raises InputError if the folder holds another run: going on with other settings would mix two.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.refuse_other(settings)
        self._refuse_other_split(split)
        for name, content in (("settings.json", settings), ("splits.json", split)):
            (self.path / name).write_text(_text(asdict(content)))
        (self.path / "environment.json").write_text(json.dumps(environment(compute), indent=1) + "\n")

    def refuse_other(self, settings: TrainingSettings) -> None:
        """Raises InputError if the folder holds a run with other settings, finished or not.

        A setting that the folder's file does not name has its default there.
        """
        if (self.path / "settings.json").exists() and _text(asdict(self.settings())) != _text(asdict(settings)):
            raise self._is_another("settings.json")

    def settings(self) -> TrainingSettings:
        """How the run was or is being made. Raises InputError if the folder holds no run."""
        return settings_from(self._read("settings.json"))

    def split(self) -> Split:
        """Which slices the run learned from. Raises InputError if the folder holds no run."""
        return Split(**self._read("splits.json"))

    def require_finished(self) -> None:
        """Raises InputError if the run is not finished."""
        if not self.is_finished:
            raise InputError(f"The run {self.path} is not finished.", "Let `braintumorseg-train fit` go on with it.")

    def finished_weights(self) -> dict[str, torch.Tensor]:
        """The weights on the CPU. Raises InputError if the run is not finished."""
        self.require_finished()
        return torch.load(self.weights, map_location="cpu", weights_only=True)

    def finish(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Writes weights.pt."""
        self._curves.close()
        _save(dict(weights), self.weights)

    def save_best(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Keeps the best weights so far."""
        _save(dict(weights), self.path / "best.pt")

    def load_best(self) -> dict[str, torch.Tensor]:
        """The best weights so far."""
        return torch.load(self.path / "best.pt", map_location="cpu", weights_only=True)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replaces the checkpoint in one step."""
        _save(dict(state), self.path / "checkpoint.pt")

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The checkpoint, if there is one, on the CPU.

        Who takes it over copies weights and moments to their device. An optimiser's count of steps stays where it is
        read: on a GPU every step of the optimiser would wait for it, parameter by parameter.
        """
        path = self.path / "checkpoint.pt"
        return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None

    def log(self, phase: int, step: int, loss: float, rate: float, slices_per_s: float) -> None:
        """A line of log.csv, and the same for TensorBoard."""
        _append(self.path / "log.csv", _LOG, [phase, step, f"{loss:.5f}", f"{rate:.3g}", f"{slices_per_s:.1f}"])
        self._curves.add(
            phase, step, {"training/loss": loss, "training/learning_rate": rate, "training/slices_per_s": slices_per_s}
        )

    def log_validation(self, phase: int, step: int, loss: float, score: float) -> None:
        """A line of validation.csv, and the same for TensorBoard."""
        _append(self.path / "validation.csv", _VALIDATION, [phase, step, f"{loss:.5f}", f"{score:.5f}"])
        self._curves.add(phase, step, {"validation/loss": loss, "validation/score": score})

    def forget_after(self, phase: int, step: int) -> None:
        """Drops lines that an interrupted run logged after its last checkpoint: they will come again."""
        self._curves.forget_after(phase, step)
        for name in ("log.csv", "validation.csv"):
            path = self.path / name
            if path.exists():
                with path.open(newline="") as file:
                    header, *rows = list(csv.reader(file))
                kept = [row for row in rows if (int(row[0]), int(row[1])) <= (phase, step)]
                with path.open("w", newline="") as file:
                    csv.writer(file).writerows([header, *kept])

    def _refuse_other_split(self, split: Split) -> None:
        path = self.path / "splits.json"
        if path.exists() and path.read_text() != _text(asdict(split)):
            raise self._is_another(path.name)

    def _is_another(self, name: str) -> InputError:
        return InputError(f"{self.path} holds a run with another {name}.", "Choose another folder, or remove that one.")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.is_file():
            raise InputError(f"{self.path} holds no run: {name} is missing.", "Give the folder of `fit --run`.")
        return json.loads(path.read_text())


def environment(compute: Compute) -> dict[str, Any]:
    """What the run is computed with; no path and no name of a person."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "device": compute.description,
        "threads": torch.get_num_threads(),
        "git_revision": git_revision(),
    }


def git_revision() -> str | None:
    """The commit of this code, with "+changes" where files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        revision = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{revision}+changes" if changes else revision


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def _save(content: dict[str, Any], path: Path) -> None:
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def _append(path: Path, header: Sequence[str], row: Sequence[object]) -> None:
    fresh = not path.exists() or os.path.getsize(path) == 0
    with path.open("a", newline="") as file:
        csv.writer(file).writerows([header, row] if fresh else [row])
