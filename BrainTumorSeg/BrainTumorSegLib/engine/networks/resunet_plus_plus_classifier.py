"""A slice classifier that outlines: ResUNet++ at half the sampling, asked only how sure it is of a tumour's pixels."""

from __future__ import annotations

import torch
from torch import nn

from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0

SUREST_PIXELS = 32
"""Of 128 x 128 about 1 cm2 of a head: one bright pixel is no tumour, and smaller lesions are not in the data."""


class ResUNetPlusPlusClassifier(nn.Module):
    """The mean of the highest logits of a coarse ResUNetPlusPlusLite0 that was trained on outlines.

    forward: float [B, input_channels, H, W], H and W multiples of 32 -> tumour logits [B]. An outline tells a network
    more about a slice than whether it holds tumour: this was measured against a classifier of the same cost that was
    trained on that alone (docs/measurements.md). 3,569,440 trainable parameters at three channels; 0.19 GMAC a slice at
    128 x 128. The mean of the k largest responses is the pooling of Durand et al., "WELDON: Weakly Supervised Learning
    of Deep Convolutional Neural Networks", CVPR 2016.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.outline = ResUNetPlusPlusLite0(input_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B]. Raises InputError for another shape."""
        return self.outline(x).flatten(1).topk(SUREST_PIXELS).values.mean(dim=1)
