"""Means of weights: over the steps of training, and of several ends of it, one network in place of several.

Source of the latter: stochastic weight averaging (Izmailov et al. 2018), here of the ends of restarted cosines, which
"Snapshot ensembles" (Huang et al. 2017) keep as so many networks. A mean of weights has other activations than any of
them, so its normalisation statistics are measured anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from brain_tumor_training.fitting.forward import autocast
from BrainTumorSegLib.engine.inference.device import Compute

STATISTICS_BATCHES = 100
"""Of training images, by which a mean's statistics are measured."""


class StepMean(AveragedModel):
    """The exponential mean of a network's weights and buffers over its steps, without waiting for a GPU.

    torch's own ``update_parameters`` sends the count of updates to the GPU at every step and waits until it is there
    (torch 2.2 to 2.13), though an exponential mean does not hang on it.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._update = get_ema_multi_avg_fn(decay)

    def update_parameters(self, model: nn.Module) -> None:
        """One more step's weights; the first are taken as they are."""
        if self.n_averaged == 0:
            super().update_parameters(model)
            return
        pairs = zip(_tensors(self.module), _tensors(model), strict=True)
        by_type: dict[torch.dtype, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for own, new in pairs:
            by_type.setdefault(own.dtype, []).append((own.detach(), new.detach()))
        for some in by_type.values():
            own_tensors, new_tensors = zip(*some, strict=True)
            self._update(list(own_tensors), list(new_tensors), 0)
        self.n_averaged += 1


def _tensors(network: nn.Module) -> Iterable[torch.Tensor]:
    return chain(network.parameters(), network.buffers())


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
