"""ResUNet++ of Dai, Zhang and Shu (2024): ResUNet with an ASPP bridge and attention in the decoder."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.attention import AtrousPyramid, AttentionGate
from BrainTumorSegLib.engine.networks.input_check import check_input
from BrainTumorSegLib.engine.networks.resunet import WIDTHS, ResidualBlock, initialise_he_normal, stem

ASPP_DILATIONS = (1, 2, 4, 6)
"""The paper names no rates. At 16 x 16 Jha's 6-12-18 would mostly see padding, so these fit the bridge."""


class ResUNetPlusPlus(nn.Module):
    """Five levels 16-32-64-128-256, residual blocks down and up, ASPP bridge, attention gates, 1x1 output.

    forward: float [B, input_channels, H, W], H and W multiples of 16 -> logits [B, 1, H, W]. At 256 x 256 the bridge
    works at 16 x 16 x 256. Bridge (four branches of 64 channels) and gates are those of ``attention.py``, each gating a
    skip by the decoder's upsampled features. 1,770,061 parameters at three channels counting BN statistics as Keras
    does (1,764,677 of them trainable); 2.09 GMAC a slice at 256 x 256. The paper gives no total to compare with.

    Source: Dai, Zhang, Shu, "Residual Connection Networks in Medical Image Processing", section 3.2, figures 1 and 2.
    Where the paper is silent (dilations, gate kind, gate widths) the choices are those named here.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.stem = stem(input_channels, WIDTHS[0])
        self.encoder = nn.ModuleList(ResidualBlock(a, b) for a, b in pairwise(WIDTHS))
        self.bridge = AtrousPyramid(WIDTHS[-1], WIDTHS[-1] // 4, ASPP_DILATIONS)
        steps = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.gates = nn.ModuleList(AttentionGate(below, skip, skip // 2) for below, skip in steps)
        self.decoder = nn.ModuleList(ResidualBlock(below + skip, skip) for below, skip in steps)
        self.output = nn.Conv2d(WIDTHS[0], 1, 1)
        initialise_he_normal(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        check_input(x, self.input_channels)
        skips = [self.stem(x)]
        for block in self.encoder:
            skips.append(block(functional.max_pool2d(skips[-1], 2)))
        x = self.bridge(skips.pop())
        for gate, block in zip(self.gates, self.decoder, strict=True):
            x = functional.interpolate(x, scale_factor=2.0)
            x = block(torch.cat([x, gate(g=x, x=skips.pop())], dim=1))
        return self.output(x)
