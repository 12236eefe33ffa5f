"""A small 3D network that sees a whole study at once and corrects what a slice network says of each slice."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.input_check import check_study

WIDTHS = (16, 32, 64, 96)
"""Channels at strides 1, 2, 4, 8 of its input, whose voxels are some 3.6 x 3.6 x 5 mm."""
INPUT_CHANNELS = 4
"""T1, FLAIR, T1c and the slice network's logits."""
MULTIPLE = 8
"""What rows and columns must be multiples of."""
_IN_PLANE, _IN_SPACE = (1, 3, 3), (3, 3, 3)
_POOLING = ((1, 2, 2), (2, 2, 2), (2, 2, 2))


class StudyRefiner(nn.Module):
    """A 3D U-Net whose skips are added, not joined; its first level is anisotropic as the voxels are.

    forward: float [B, 4, D, H, W], D slabs of any number, H and W multiples of 8 -> what to add to the logits
    [B, 1, D, H, W]. The last layer starts at zero, so that an untrained refiner changes nothing. 780,001 parameters.

    Source: Çiçek et al., "3D U-Net", MICCAI 2016; instance normalisation and leaky ReLU as in nnU-Net (Isensee et al.,
    Nature Methods 2021), because a batch is one or two studies.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (INPUT_CHANNELS, *WIDTHS)
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(before, width, first), _convolution(width, width, _IN_SPACE))
            for before, width, first in zip(channels, WIDTHS, (_IN_PLANE, *[_IN_SPACE] * 3), strict=False)
        )
        pairs = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv3d(below, width, 1) for below, width in pairs)
        self.up = nn.ModuleList(
            _convolution(width, width, kernel)
            for (_, width), kernel in zip(pairs, (_IN_SPACE, _IN_SPACE, _IN_PLANE), strict=True)
        )
        self.output = nn.Conv3d(WIDTHS[0], 1, 1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, 4, D, H, W] to corrections [B, 1, D, H, W]. Raises InputError for another shape."""
        check_study(x, INPUT_CHANNELS, MULTIPLE)
        maps = [self.down[0](x)]
        for pooling, block in zip(_POOLING, list(self.down)[1:], strict=True):
            depth = min(pooling[0], maps[-1].shape[2])
            maps.append(block(functional.avg_pool3d(maps[-1], (depth, *pooling[1:]), ceil_mode=True)))
        below = maps.pop()
        for narrow, block in zip(self.narrow, self.up, strict=True):
            skip = maps.pop()
            below = block(skip + functional.interpolate(narrow(below), size=skip.shape[2:], mode="nearest"))
        correction: torch.Tensor = self.output(below)
        return correction


def _convolution(channels_in: int, channels_out: int, kernel: tuple[int, int, int]) -> nn.Sequential:
    padding = tuple(side // 2 for side in kernel)
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, kernel, padding=padding, bias=False),  # type: ignore[arg-type]
        nn.InstanceNorm3d(channels_out, affine=True),
        nn.LeakyReLU(0.01),
    )
