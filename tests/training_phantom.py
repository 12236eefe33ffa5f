"""A network and slices so small that training takes milliseconds; also a program, for torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from brain_tumor_training.data.cache import CachedPatient
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.batches import Pools
from brain_tumor_training.fitting.distributed import Processes
from brain_tumor_training.fitting.trainer import Trainer
from brain_tumor_training.recipes.settings import OptimiserSettings, Phase, TrainingSettings
from BrainTumorSegLib.engine.inference.device import Compute

CPU = Compute(torch.device("cpu"), torch.float32, "CPU")
SIZE_PX = 32


def patients(count: int = 3, slices: int = 5) -> list[CachedPatient]:
    """Bright squares on noise, tumour in the middle slices."""
    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        mask = np.zeros((slices, SIZE_PX, SIZE_PX), bool)
        row, column = rng.integers(4, 16, 2)
        mask[1:-1, row : row + 10, column : column + 10] = True
        values = rng.normal(0, 0.1, (2, 3, *mask.shape)) + 1.5 * mask
        made.append(CachedPatient(f"p{number}", values.astype(np.float16), mask))
    return made


def tiny_network(with_chance: bool = True) -> nn.Module:
    """Three inputs to a logit map; with normalisation and dropout, the two things a resumed run may get wrong."""
    torch.manual_seed(0)
    middle = [nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)] if with_chance else [nn.ReLU()]
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *middle, nn.Conv2d(8, 1, 1))


def tiny_settings(**changes: object) -> TrainingSettings:
    """Two short phases at one sampling."""
    defaults = {
        "task": "segmentation",
        "network": "ResUNet",
        "channels": ("t1", "flair", "t1c"),
        "phases": (Phase(SIZE_PX, 7, 1e-2, 3), Phase(SIZE_PX, 5, 1e-2, 1)),
        "batch_size": 4,
        "seed": 3,
    }
    return TrainingSettings(**(defaults | changes))


def load_pools(_size_px: int) -> Pools:
    """Two patients to learn from and one to look at."""
    return Pools(SlicePool.of_all(patients(2)), SlicePool.of_all(patients(3)[2:]))


def train_plainly(run: Path) -> None:
    """Train without anything that depends on how a batch is divided, in as many processes as torchrun started."""
    optimiser = OptimiserSettings("adamw", {"eps": 1e-3})
    settings = tiny_settings(loss="binary_cross_entropy", optimiser=optimiser, gradient_norm=None)
    processes = Processes.of_environment()
    with processes.joined(CPU.device):
        Trainer(tiny_network(with_chance=False), settings, CPU, run, processes).fit(load_pools)


if __name__ == "__main__":
    train_plainly(Path(sys.argv[1]))
