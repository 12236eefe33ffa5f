"""Two ResUNet++ that look at a slice at full and at half sampling: one sees borders, the other the whole head."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.efficientnet_lite import STRIDE
from BrainTumorSegLib.engine.networks.input_check import check_input
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0

REDUCTION = 2
"""Side of the block of pixels that is one pixel of the coarse member."""


class ResUNetPlusPlusFineCoarse(nn.Module):
    """The mean of the logits of two ResUNetPlusPlusLite0, ``fine`` and ``coarse``, trained each by itself.

    forward: float [B, input_channels, H, W], H and W multiples of 64 -> logits [B, 1, H, W]. The coarse member gets
    the mean of each 2 x 2 pixels, as it does in training (``preprocessing.coarsen``), and its logits are brought back
    linearly. Members at different samplings err at different places, which is what a mean lives on (Lakshminarayanan
    et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017).
    7,138,880 trainable parameters at three channels; 0.94 GMAC a slice at 256 x 256.

    Source: ``resunet_plus_plus_lite0.py`` for the members.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.fine = ResUNetPlusPlusLite0(input_channels)
        self.coarse = ResUNetPlusPlusLite0(input_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        check_input(x, self.input_channels, STRIDE * REDUCTION)
        coarse = self.coarse(functional.avg_pool2d(x, REDUCTION))
        coarse = functional.interpolate(coarse, scale_factor=REDUCTION, mode="bilinear", align_corners=False)
        return (self.fine(x) + coarse) / 2
