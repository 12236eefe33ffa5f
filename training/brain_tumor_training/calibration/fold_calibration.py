"""Calibration without patients set aside: a fold's models by the other folds' held-out patients, a release by all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brain_tumor_training.calibration.calibration import calibrate
from brain_tumor_training.calibration.run_calibration import keep_calibration, used_size_px
from brain_tumor_training.data.cache import load_cache
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.prediction import PatientLogits, predict
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.inference.device import choose
from BrainTumorSegLib.engine.networks.registry import build_network


def calibrate_on_other_folds(
    runs: Mapping[int, Path], held_out: Mapping[int, Sequence[str]], cache: Path, device: str
) -> None:
    """Writes each run's calibration.json: chosen on what the other runs say about their own held-out patients.

    All of these patients are training patients of the run, and no figure comes from a network that was trained on them.
    """
    logits = {fold: held_out_logits(run, held_out[fold], cache, device) for fold, run in runs.items()}
    for fold, run in runs.items():
        others = [one for other, patients in logits.items() if other != fold for one in patients]
        keep_calibration(run, calibrate(others), f"held-out patients of the other {len(runs) - 1} folds")


def calibrate_on_all_folds(
    target: Path, runs: Mapping[int, Path], held_out: Mapping[int, Sequence[str]], cache: Path, device: str
) -> None:
    """Writes the calibration.json of a run that has learned from every patient: chosen on what the folds' runs of the
    same recipe say about their held-out patients, for there is nobody else.
    """
    found = [one for fold, run in runs.items() for one in held_out_logits(run, held_out[fold], cache, device)]
    keep_calibration(target, calibrate(found), f"held-out patients of all {len(runs)} folds, by the folds' models")


def held_out_logits(run: Path, names: Sequence[str], cache: Path, device: str) -> list[PatientLogits]:
    """What a finished run's network says about held-out patients, kept as float16: there are many."""
    folder = RunFolder(run)
    settings = folder.settings()
    compute = choose(device)
    network = build_network(settings.network, settings.arguments)
    network.load_state_dict(folder.finished_weights())
    pool = SlicePool.of_all(load_cache(cache, list(names), used_size_px(settings)))
    found = predict(network.to(compute.device), pool, settings, compute)
    return [replace(one, logits=one.logits.astype(np.float16)) for one in found]
