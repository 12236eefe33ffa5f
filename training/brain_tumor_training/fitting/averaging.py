"""The mean of several ends of training: one network that takes the place of several.

Source: stochastic weight averaging (Izmailov et al. 2018), here of the ends of restarted cosines, which "Snapshot
ensembles" (Huang et al. 2017) keep as so many networks. A mean of weights has other activations than any of them, so
its normalisation statistics are measured anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from brain_tumor_training.fitting.forward import autocast
from BrainTumorSegLib.engine.inference.device import Compute

STATISTICS_BATCHES = 100
"""Of training images, by which a mean's statistics are measured."""


class PhaseEnds:
    """The running mean of a network's weights at the ends of phases."""

    def __init__(self, network: nn.Module) -> None:
        """network: of the shape and on the device of those to come; its own weights don't count."""
        self._mean = AveragedModel(network, use_buffers=True)

    def add(self, network: nn.Module) -> None:
        """One more end, with the same weight as those before."""
        self._mean.update_parameters(network)

    @property
    def network(self) -> nn.Module:
        """With the mean's weights."""
        mean: nn.Module = self._mean.module
        return mean

    def state(self) -> dict[str, torch.Tensor]:
        """For a checkpoint."""
        return self._mean.state_dict()

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """From a checkpoint."""
        self._mean.load_state_dict(state)


@torch.no_grad()
def measure_statistics(network: nn.Module, images: Iterable[torch.Tensor], compute: Compute) -> None:
    """Gives a network's batch normalisations the statistics of its own activations, in mean over all ``images``.

    images: batches [B, C, H, W] as in training, on the device.
    """
    with autocast(compute):
        update_bn(images, network)
