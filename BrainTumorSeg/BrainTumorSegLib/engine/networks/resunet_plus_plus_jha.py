"""ResUNet++ of Jha et al. (2019), as its authors' code builds it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.input_check import check_input

WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the stem, of three encoder blocks, of the ASPP bridge."""

DILATIONS = (6, 12, 18, 1)
"""Rates of the four ASPP branches, in pixels of the map they work on."""

SQUEEZE_RATIO = 8


def activated_conv(input_channels: int, output_channels: int, stride: int = 1) -> nn.Sequential:
    """BN, ReLU, Conv3x3: the order of pre-activated residual networks."""
    return nn.Sequential(
        nn.BatchNorm2d(input_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(input_channels, output_channels, 3, stride, padding=1),
    )


class SqueezeExcitation(nn.Module):
    """Weighs each channel by a number 0-1 computed from all channels' means; both dense layers lack a bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // SQUEEZE_RATIO, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // SQUEEZE_RATIO, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, c, H, W] to the same shape."""
        return x * self.weigh(x.mean(dim=(2, 3)))[:, :, None, None]


class ResidualUnit(nn.Module):
    """main(x) + BN(Conv1x1(x)), then squeeze and excitation; no activation after the sum."""

    def __init__(self, main: nn.Module, input_channels: int, output_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.main = main
        self.shortcut = nn.Sequential(
            nn.Conv2d(input_channels, output_channels, 1, stride), nn.BatchNorm2d(output_channels)
        )
        self.excitation = SqueezeExcitation(output_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, ci, H, W] to [B, f, H / stride, W / stride]."""
        return self.excitation(self.main(x) + self.shortcut(x))


def stem(input_channels: int, width: int) -> ResidualUnit:
    """The first unit; its input is the image itself, so its main path starts with a convolution."""
    main = nn.Sequential(nn.Conv2d(input_channels, width, 3, padding=1), activated_conv(width, width))
    return ResidualUnit(main, input_channels, width)


def residual_block(input_channels: int, output_channels: int, stride: int = 1) -> ResidualUnit:
    """A unit with two pre-activated convolutions, the first of which may halve the map."""
    main = nn.Sequential(
        activated_conv(input_channels, output_channels, stride), activated_conv(output_channels, output_channels)
    )
    return ResidualUnit(main, input_channels, output_channels, stride)


class AtrousPyramid(nn.Module):
    """Four dilated Conv3x3-BN without activation, summed, then Conv1x1."""

    def __init__(self, input_channels: int, output_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(input_channels, output_channels, 3, padding=rate, dilation=rate),
                nn.BatchNorm2d(output_channels),
            )
            for rate in DILATIONS
        )
        self.join = nn.Conv2d(output_channels, output_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, ci, H, W] to [B, f, H, W]."""
        total = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return self.join(total)


class Attention(nn.Module):
    """Multiplies the decoder's map x by weights from x and from the encoder's map g of twice its size.

    The weights keep all of x's channels and no sigmoid bounds them: that is how the authors' code has it.
    """

    def __init__(self, encoder_channels: int, decoder_channels: int) -> None:
        super().__init__()
        self.from_encoder = nn.Sequential(activated_conv(encoder_channels, decoder_channels), nn.MaxPool2d(2))
        self.from_decoder = activated_conv(decoder_channels, decoder_channels)
        self.weigh = activated_conv(decoder_channels, decoder_channels)

    def forward(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Maps g float [B, cg, 2H, 2W] and x float [B, cx, H, W] to [B, cx, H, W]."""
        return x * self.weigh(self.from_encoder(g) + self.from_decoder(x))


class ResUNetPlusPlusJha(nn.Module):
    """Four encoder levels 16-32-64-128, ASPP bridge of 256 at one eighth, attention, three decoder levels, ASPP.

    forward: float [B, input_channels, H, W], H and W multiples of 16 -> logits [B, 1, H, W]. At 256 x 256 the bridge
    works at 32 x 32. 4,070,385 parameters at three channels counting BN statistics as Keras does; 4,062,993 of them
    are trainable, the other 7,392 are the running means and variances of 3,696 channels. 15.669 GMAC a slice at
    256 x 256.

    Source: Jha et al., "ResUNet++: An Advanced Architecture for Medical Image Segmentation", ISM 2019, and the
    authors' repository DebeshJha/ResUNetPlusPlus (m_resunet.py, commit 125ed37). Strided convolutions pad both sides
    evenly, as the authors' PyTorch file does; Keras pads below and right only.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.stem = stem(input_channels, WIDTHS[0])
        self.encoder = nn.ModuleList(residual_block(above, here, stride=2) for above, here in pairwise(WIDTHS[:4]))
        self.bridge = AtrousPyramid(WIDTHS[3], WIDTHS[4])
        steps = list(zip(WIDTHS[:1:-1], WIDTHS[2::-1], WIDTHS[3:0:-1], strict=True))
        self.attention = nn.ModuleList(Attention(skip, below) for below, skip, _ in steps)
        self.decoder = nn.ModuleList(residual_block(below + skip, here) for below, skip, here in steps)
        self.pyramid = AtrousPyramid(WIDTHS[1], WIDTHS[0])
        self.output = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        check_input(x, self.input_channels)
        maps = [self.stem(x)]
        for block in self.encoder:
            maps.append(block(maps[-1]))
        x = self.bridge(maps.pop())
        for attention, block in zip(self.attention, self.decoder, strict=True):
            skip = maps.pop()
            x = functional.interpolate(attention(skip, x), scale_factor=2.0)
            x = block(torch.cat([x, skip], dim=1))
        return self.output(self.pyramid(x))
