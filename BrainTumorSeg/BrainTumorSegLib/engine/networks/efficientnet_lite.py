"""EfficientNet-lite0: EfficientNet-B0 without squeeze-and-excitation and with ReLU6, light on every processor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.input_check import check_input


class Stage(NamedTuple):
    """One row of the architecture: ``repeats`` blocks of which the first changes channels and stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
FEATURE_BLOCKS = (0, 2, 4, 10, 15)
"""The last block at each stride 2, 4, 8, 16, 32."""

FEATURE_CHANNELS = (16, 24, 40, 112, 320)
STRIDE = 32


class HalvingConv2d(nn.Conv2d):
    """Stride-2 convolution padded as TensorFlow's "SAME" pads even sizes: the odd pixel goes below and right.

    The ImageNet weights were trained so; even padding would shift every map by half a pixel against them.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, ci, H, W], H and W even, to [B, f, H / 2, W / 2]."""
        before = (self.kernel_size[0] - 2) // 2
        after = self.kernel_size[0] - 2 - before
        return super().forward(functional.pad(x, (before, after, before, after)))

    def evenly_padded(self) -> nn.Conv2d:
        """The same numbers from a plain convolution, whose kernel has a row above and a column before it, of zeros.

        It pads all sides alike, which a convolution does without a padded copy of its map. For inference.
        """
        side = self.kernel_size[0]
        even = nn.Conv2d(
            self.in_channels, self.out_channels, side + 1, 2, side // 2, groups=self.groups, bias=self.bias is not None
        )
        even.weight = nn.Parameter(functional.pad(self.weight.detach(), (1, 0, 1, 0)))
        even.bias = self.bias
        return even


class DepthwiseConv2d(nn.Module):
    """Mixin of a convolution that filters each channel alone: trains in float32 on a processor, under autocast too.

    oneDNN has no fast bfloat16 gradient for it: without this, these few layers take half of a training step with
    AVX-512 BF16 (``benchmarks/training_step.py``). Results come back in the type that went in.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the convolution it is mixed into."""
        if not torch.is_grad_enabled() or x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


class DepthwiseKeepingConv2d(DepthwiseConv2d, nn.Conv2d):
    """Depthwise convolution that keeps the size."""


class DepthwiseHalvingConv2d(DepthwiseConv2d, HalvingConv2d):
    """Depthwise convolution that halves the size."""


def spatial_conv(input_channels: int, output_channels: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    """A k x k convolution without bias that keeps the size (stride 1) or halves it (stride 2)."""
    if stride == 2:
        halving = HalvingConv2d if groups == 1 else DepthwiseHalvingConv2d
        return halving(input_channels, output_channels, kernel, stride, groups=groups, bias=False)
    keeping = nn.Conv2d if groups == 1 else DepthwiseKeepingConv2d
    return keeping(input_channels, output_channels, kernel, padding=kernel // 2, groups=groups, bias=False)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the published constants (TensorFlow's momentum 0.99 is PyTorch's 0.01)."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Conv1x1 widens, a depthwise convolution filters, Conv1x1 narrows; the input is added where shapes agree.

    Attribute names are those of the published weights' keys.
    """

    conv_norm_pairs = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))

    def __init__(self, input_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = input_channels * stage.expansion
        self.expands = stage.expansion != 1
        self.adds_input = stride == 1 and input_channels == stage.channels
        if self.expands:
            self._expand_conv = nn.Conv2d(input_channels, wide, 1, bias=False)
            self._bn0 = batch_norm(wide)
        self._depthwise_conv = spatial_conv(wide, wide, stage.kernel, stride, groups=wide)
        self._bn1 = batch_norm(wide)
        self._project_conv = nn.Conv2d(wide, stage.channels, 1, bias=False)
        self._bn2 = batch_norm(stage.channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, ci, H, W] to [B, f, H / stride, W / stride]."""
        wide = functional.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        wide = functional.relu6(self._bn1(self._depthwise_conv(wide)), inplace=True)
        narrow = self._bn2(self._project_conv(wide))
        return narrow + x if self.adds_input else narrow


def build_blocks() -> nn.ModuleList:
    """The sixteen blocks in order; a stage's stride belongs to its first block."""
    blocks = nn.ModuleList()
    channels = STEM_CHANNELS
    for stage in STAGES:
        for repeat in range(stage.repeats):
            blocks.append(InvertedResidual(channels, stage, stage.stride if repeat == 0 else 1))
            channels = stage.channels
    return blocks


class EfficientNetLite0Encoder(nn.Module):
    """Stem and sixteen inverted residual blocks: 2,958,848 trainable parameters at three channels.

    ``features`` gives the maps that a decoder builds on; attribute names are those of the published weights' keys.
    """

    conv_norm_pairs: tuple[tuple[str, str], ...] = (("_conv_stem", "_bn0"),)

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self._conv_stem = spatial_conv(input_channels, STEM_CHANNELS, kernel=3, stride=2)
        self._bn0 = batch_norm(STEM_CHANNELS)
        self._blocks = build_blocks()

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Maps float [B, C, H, W] to five maps at strides 2, 4, 8, 16, 32 with ``FEATURE_CHANNELS`` channels.

        Raises InputError for another shape.
        """
        check_input(x, self.input_channels, STRIDE)
        x = functional.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        maps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in FEATURE_BLOCKS:
                maps.append(x)
        return maps


class EfficientNetLite0(EfficientNetLite0Encoder):
    """The encoder with head, global average, dropout, dense.

    forward: float [B, input_channels, H, W], H and W multiples of 32 -> logits [B, outputs]. 4,652,008 parameters at
    three channels and 1000 outputs (4,694,024 with BN statistics, as Keras counts), 3,372,289 at one output;
    0.501 GMAC a slice at 256 x 256. Its ImageNet weights (``networks/imagenet.py``) expect (x - 127) / 128 of RGB
    values 0-255.

    Source: Tan and Le, "EfficientNet", ICML 2019, and Google's EfficientNet-lite (2020). The stochastic depth used
    to train the published weights is left out: it changes nothing at inference.
    """

    conv_norm_pairs = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))

    def __init__(self, input_channels: int = 3, outputs: int = 1000, dropout: float = 0.2) -> None:
        super().__init__(input_channels)
        self._conv_head = nn.Conv2d(STAGES[-1].channels, HEAD_CHANNELS, 1, bias=False)
        self._bn1 = batch_norm(HEAD_CHANNELS)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(HEAD_CHANNELS, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to logits [B, outputs]. Raises InputError for another shape."""
        x = functional.relu6(self._bn1(self._conv_head(self.features(x)[-1])), inplace=True)
        return self._fc(self._dropout(x.mean(dim=(2, 3))))
