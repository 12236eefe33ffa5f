"""ResUNet of Deng et al. (2024) and Varolia et al.: a U-Net whose stages are residual blocks."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.input_check import check_input

WIDTHS = (16, 32, 64, 128, 256)
"""Channels from the stem at full resolution to the bottleneck at one sixteenth."""


class ResidualBlock(nn.Module):
    """Conv1x1-BN-ReLU-Conv3x3-BN beside a Conv1x1-BN shortcut, added, ReLU.

    Parameters, BN statistics counted as Keras does: ``2 * ci * f + 9 * f**2 + 15 * f``.
    """

    def __init__(self, input_channels: int, output_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(input_channels, output_channels, 1),
            nn.BatchNorm2d(output_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(output_channels, output_channels, 3, padding=1),
            nn.BatchNorm2d(output_channels),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(input_channels, output_channels, 1), nn.BatchNorm2d(output_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, ci, H, W] to [B, f, H, W]."""
        return functional.relu(self.main(x) + self.shortcut(x))


def stem(input_channels: int, width: int) -> nn.Sequential:
    """Two Conv3x3-ReLU-BN at full resolution (the order of the published layer table)."""
    return nn.Sequential(
        nn.Conv2d(input_channels, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(width),
    )


def initialise_he_normal(network: nn.Module) -> None:
    """He-normal convolution weights and zero biases (``he_normal`` of the published Keras code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class ResUNet(nn.Module):
    """The ResUNet that both papers print: stem, four residual stages down, four up, 1x1 output.

    forward: float [B, input_channels, H, W], H and W multiples of 16 -> logits [B, 1, H, W].
    1,210,513 parameters at three channels counting BN statistics as Keras does (1,206,129 of them trainable);
    1.86 GMAC a slice at 256 x 256.

    Source: Deng, Cui, Liu, "Head Tumor Segmentation and Detection Based on Resunet", table 2; the block order, which
    the table leaves open, is that of the public course code both papers build on.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.stem = stem(input_channels, WIDTHS[0])
        self.encoder = nn.ModuleList(ResidualBlock(a, b) for a, b in pairwise(WIDTHS))
        self.decoder = nn.ModuleList(
            ResidualBlock(below + skip, skip) for below, skip in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.output = nn.Conv2d(WIDTHS[0], 1, 1)
        initialise_he_normal(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        check_input(x, self.input_channels)
        skips = [self.stem(x)]
        for block in self.encoder:
            skips.append(block(functional.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for block in self.decoder:
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0), skips.pop()], dim=1))
        return self.output(x)
