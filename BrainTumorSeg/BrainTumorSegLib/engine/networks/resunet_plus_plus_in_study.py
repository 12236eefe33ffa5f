"""ResUNet++ on an ImageNet encoder for the slices, and a 3D network that corrects them knowing the whole study."""

from __future__ import annotations

import torch
from torch import nn

from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0
from BrainTumorSegLib.engine.networks.study_refiner import StudyRefiner


class ResUNetPlusPlusInStudy(nn.Module):
    """The slice network of ``resunet_plus_plus_lite0.py`` with a ``refiner``.

    ``engine/inference/refinement.py`` applies it.

    forward: float [B, input_channels, H, W], H and W multiples of 32 -> the slices' own logits [B, 1, H, W]; what the
    refiner says needs all slices of a study. A slice shows a bright patch; only the study shows that a brighter one
    elsewhere is the tumour, and that this one is the coil's shading.

    Source: ``resunet_plus_plus_lite0.py`` and ``study_refiner.py``.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.slices = ResUNetPlusPlusLite0(input_channels)
        self.refiner = StudyRefiner()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        logits: torch.Tensor = self.slices(x)
        return logits
