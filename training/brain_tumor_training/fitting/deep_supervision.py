"""Deep supervision: while training, the decoder's coarser steps are asked for the tumour too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import DeepSupervisionLoss
from torch import nn
from torch.nn import functional

from brain_tumor_training.fitting.losses import Loss
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import WIDTHS, ResUNetPlusPlusLite0

_STRIDES = (16, 8, 4)
"""Of the decoder's steps before its last, in the order in which they are computed."""


class DeeplySupervised(nn.Module):
    """A network with a 1 x 1 convolution on some steps of its decoder; what is shipped is the network alone.

    forward: float [B, C, H, W] -> logits [B, 1 + steps, H, W]: the network's own, then those of the steps from fine to
    coarse, brought to full sampling linearly.

    Source: Lee et al., "Deeply-Supervised Nets", AISTATS 2015.
    """

    def __init__(self, network: ResUNetPlusPlusLite0, strides: Sequence[int]) -> None:
        """Raises InputError for a stride at which no step of the decoder is."""
        super().__init__()
        unknown = sorted(set(strides) - set(_STRIDES))
        if unknown:
            raise InputError(f"The decoder has no step at stride {unknown[0]}.", f"Choose among {_STRIDES}.")
        self.network = network
        self._steps = [_STRIDES.index(stride) for stride in sorted(strides)]
        self.heads = nn.ModuleList(nn.Conv2d(WIDTHS[::-1][step], 1, 1) for step in self._steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to logits [B, 1 + steps, H, W]."""
        maps = self.network.decoded(x)
        coarse = [head(maps[step]) for head, step in zip(self.heads, self._steps, strict=True)]
        shown = [functional.interpolate(one, x.shape[-2:], mode="bilinear", align_corners=False) for one in coarse]
        return torch.cat([self.network.logits(maps[-1]), *shown], dim=1)


def supervised(network: nn.Module, strides: Sequence[int]) -> nn.Module:
    """The module to train, the network itself without strides. Raises InputError where it has no such steps."""
    if not strides:
        return network
    if not isinstance(network, ResUNetPlusPlusLite0):
        raise InputError(
            f"The decoder of {type(network).__name__} can't be supervised at strides {list(strides)}.",
            "Leave the recipe's supervised_strides empty, or choose ResUNetPlusPlusLite0.",
        )
    return DeeplySupervised(network, strides)


def deep_loss(loss: Loss) -> Loss:
    """The loss of every channel of the logits, each weighing half of the one before."""
    of_levels = DeepSupervisionLoss(loss, weight_mode="exp")
    return lambda logits, mask: of_levels(list(logits.split(1, dim=1)), mask)
