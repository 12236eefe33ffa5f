"""Two ResUNet++ that look at a slice at full and at half sampling: one sees borders, the other the whole head."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import COARSE_LEVELS, ResUNetPlusPlusLite0

REDUCTION = 2
"""Side of the block of pixels that is one pixel of the coarse member."""


class ResUNetPlusPlusFineCoarse(nn.Module):
    """The mean of the logits of two ResUNetPlusPlusLite0, ``fine`` and ``coarse``, trained each by itself.

    forward: float [B, input_channels, H, W], H and W multiples of 32 -> logits [B, 1, H, W]. The coarse member gets
    the mean of each 2 x 2 pixels, as it does in training (``preprocessing.coarsen``), and its logits are brought back
    linearly. Members at different samplings err at different places, which is what a mean lives on (Lakshminarayanan
    et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017).
    PARAMETERS; COST.

    Source: ``resunet_plus_plus_lite0.py`` for the members.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.fine = ResUNetPlusPlusLite0(input_channels)
        self.coarse = ResUNetPlusPlusLite0(input_channels, COARSE_LEVELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        fine = self.fine(x)
        coarse = self.coarse(functional.avg_pool2d(x, REDUCTION))
        coarse = functional.interpolate(coarse, scale_factor=REDUCTION, mode="bilinear", align_corners=False)
        return (fine + coarse) / 2
