"""The two parts that make a ResUNet a ResUNet++: an ASPP bridge, and gates that weigh the skips.

Built and named as MONAI's SimpleASPP and AttentionBlock, so that weights fit either; importing MONAI itself takes
longer than segmenting a study.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

_BRANCH_KERNELS = (1, 3, 3, 3)


class AtrousPyramid(nn.Module):
    """Four branches, 1 x 1 and three dilated 3 x 3, side by side, joined by 1 x 1, BN, ReLU.

    Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
    """

    def __init__(self, input_channels: int, branch_channels: int, dilations: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(input_channels, branch_channels, kernel, dilation=rate, padding=(kernel // 2) * rate)
            for kernel, rate in zip(_BRANCH_KERNELS, dilations, strict=True)
        )
        joined = branch_channels * len(dilations)
        norm = nn.Sequential(OrderedDict(N=nn.BatchNorm2d(joined), A=nn.ReLU()))
        self.conv_k1 = nn.Sequential(OrderedDict(conv=nn.Conv2d(joined, joined, 1, bias=False), adn=norm))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, ci, H, W] to [B, 4 * branch_channels, H, W]."""
        joined: torch.Tensor = self.conv_k1(torch.cat([branch(x) for branch in self.convs], dim=1))
        return joined


class AttentionGate(nn.Module):
    """Multiplies a skip x by weights 0-1, one a pixel, computed from it and from the decoder's upsampled map g.

    Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018.
    """

    def __init__(self, decoder_channels: int, skip_channels: int, inner_channels: int) -> None:
        super().__init__()
        self.W_g = _projection(decoder_channels, inner_channels)
        self.W_x = _projection(skip_channels, inner_channels)
        self.psi = nn.Sequential(*_projection(inner_channels, 1), nn.Sigmoid())
        self.relu = nn.ReLU()

    def forward(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Maps g float [B, cg, H, W] and x float [B, cx, H, W] to [B, cx, H, W]."""
        weights: torch.Tensor = self.psi(self.relu(self.W_g(g) + self.W_x(x)))
        return x * weights


def _projection(input_channels: int, output_channels: int) -> nn.Sequential:
    convolution = nn.Sequential(OrderedDict(conv=nn.Conv2d(input_channels, output_channels, 1)))
    return nn.Sequential(convolution, nn.BatchNorm2d(output_channels))
