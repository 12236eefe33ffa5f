"""What shortening weights to store them changes and saves: noise in the logits, Dice, and size, by step of the grid.

    python benchmarks/stored_weights.py RUNS/fold0 --folds folds.csv --fold 0 --cache CACHE --patients 4

Cached slices of held-out patients, float32. Noise is the root mean square of what changes in logits
between -6 and 6, where it can matter; size is that of the deflated float16 weights.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from brain_tumor_training.bundles import shortening
from brain_tumor_training.calibration.calibration import PatientLogits
from brain_tumor_training.data.cache import load_cache
from brain_tumor_training.data.folds import read_folds
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.prediction import predict
from brain_tumor_training.metrics.overlap import count_slices, volumetric_dice
from brain_tumor_training.recipes.settings import TrainingSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.networks.registry import build_network

STEPS = (6, 8, 12, 16, 24)
RANGE = 6.0

Weights = Mapping[str, torch.Tensor]


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="finished run of a slices' network")
    parser.add_argument("--folds", type=Path, required=True, metavar="CSV", help="folds by patient")
    parser.add_argument("--fold", type=int, required=True, metavar="K", help="the one that the run held out")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="the run's cache")
    parser.add_argument("--patients", type=int, default=4, metavar="N", help="how many of the fold to measure on")
    arguments = parser.parse_args()

    run = RunFolder(arguments.run)
    settings, weights = run.settings(), run.finished_weights()
    names = [name for name, fold in read_folds(arguments.folds).items() if fold == arguments.fold]
    size_px = settings.phases[-1].size_px
    pool = SlicePool.of_all(load_cache(arguments.cache, names[: arguments.patients], size_px))
    whole = said(weights, settings, pool)
    print("| steps to a filter's spread | noise | mean Dice | size |\n|---|---|---|---|")
    print(f"| not shortened, float32 | 0 | {mean_dice(whole):.4f} | {stored_mb(weights):.2f} MB |")
    for steps in STEPS:
        with patch.object(shortening, "STEPS_PER_SPREAD", steps):
            short = {name: shortening.shortened(one) for name, one in weights.items()}
        found = said({name: one.to(weights[name].dtype) for name, one in short.items()}, settings, pool)
        released = " (released)" if steps == shortening.STEPS_PER_SPREAD else ""
        row = f"{noise(whole, found):.3f} | {mean_dice(found):.4f} | {stored_mb(short):.2f} MB"
        print(f"| {steps}{released} | {row} |")


def said(weights: Weights, settings: TrainingSettings, pool: SlicePool) -> list[PatientLogits]:
    """What a network with these weights says of every patient."""
    network = build_network(settings.network, settings.arguments)
    network.load_state_dict(dict(weights))
    return list(predict(network.eval(), pool, settings, Compute(torch.device("cpu"), torch.float32, "CPU")))


def noise(whole: Sequence[PatientLogits], found: Sequence[PatientLogits]) -> float:
    """Root mean square of the change of what lies within RANGE."""
    changes = [(b.logits - a.logits)[np.abs(a.logits) < RANGE] for a, b in zip(whole, found, strict=True)]
    return float(np.sqrt(np.mean(np.square(np.concatenate(changes)))))


def mean_dice(found: Sequence[PatientLogits]) -> float:
    """Mean volumetric Dice at probability 0.5."""
    return float(np.mean([volumetric_dice(count_slices(one.logits > 0, one.mask)) for one in found]))


def stored_mb(weights: Weights) -> float:
    """Of all tensors, deflated."""
    return sum(len(zlib.compress(one.numpy().tobytes(), 9)) for one in weights.values()) / 1e6


if __name__ == "__main__":
    main()
