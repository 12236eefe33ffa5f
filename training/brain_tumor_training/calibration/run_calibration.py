"""Calibrating a run on its own held-out patients, and keeping what was chosen."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from brain_tumor_training.calibration.calibration import Calibration, calibrate
from brain_tumor_training.data.cache import load_cache
from brain_tumor_training.data.splits import pool_of
from brain_tumor_training.fitting.prediction import predict
from brain_tumor_training.recipes.settings import TrainingSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.inference.device import choose
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.networks.registry import build_network

CALIBRATION = "calibration.json"


def calibrate_run(folder: Path, cache: Path, device: str) -> Calibration:
    """Chooses temperature, threshold and gate on the run's validation patients and keeps them in its folder.

    Raises InputError for a run without them, or one whose validation slices come from training patients.
    """
    run = RunFolder(folder)
    settings, split = run.settings(), run.split()
    if settings.split.protocol != "patients" or not split.validation:
        raise InputError(
            f"The run {folder} kept no patients aside.",
            "Train with a recipe of protocol 'patients' that has a part 'validation'.",
        )
    compute = choose(device)
    network = build_network(settings.network, settings.arguments)
    network.load_state_dict(run.finished_weights())
    pool = pool_of(load_cache(cache, list(split.validation), used_size_px(settings)), split.validation)
    found = calibrate(list(predict(network.to(compute.device), pool, settings, compute)))
    keep_calibration(folder, found, "patients kept aside for validation")
    return found


def used_size_px(settings: TrainingSettings) -> int:
    """Side of the slices that the program gives the network: a classifier may have learned on coarser ones."""
    return settings.phases[-1].size_px if settings.task == "classification" else SIZE_PX


def keep_calibration(folder: Path, found: Calibration, patients: str) -> None:
    """Writes a run's calibration.json. patients: in words, whom it was chosen on."""
    content = {
        "recommendation": asdict(found.recommendation),
        "chosen_on": patients,
        "patients": found.patients,
        "negative_log_likelihood": {
            "before": found.before.log_loss,
            "after": found.after.log_loss,
        },
        "reliability": {"before": found.before.reliability.plain(), "after": found.after.reliability.plain()},
    }
    with atomic_path(folder / CALIBRATION) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def recommendation_of(folder: Path) -> dict[str, float]:
    """What calibration chose for a run; nothing where it was not calibrated."""
    found = calibration_of(folder)
    return {} if found is None else found["recommendation"]


def calibration_of(folder: Path) -> dict[str, Any] | None:
    """A run's calibration.json without its reliability; None where it was not calibrated."""
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    return {name: part for name, part in json.loads(path.read_text()).items() if name != "reliability"}
