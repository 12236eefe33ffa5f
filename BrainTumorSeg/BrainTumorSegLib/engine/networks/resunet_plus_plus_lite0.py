"""ResUNet++ on an encoder that knows ImageNet: half the cost of Dai's, and it learns from few patients."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.attention import AtrousPyramid, AttentionGate
from BrainTumorSegLib.engine.networks.efficientnet_lite import FEATURE_CHANNELS, EfficientNetLite0Encoder
from BrainTumorSegLib.engine.networks.resunet import ResidualBlock, initialise_he_normal

WIDTHS = (16, 32, 64, 128)
"""Decoder channels at strides 2, 4, 8, 16."""
BRIDGE_CHANNELS = 128
ASPP_DILATIONS = (1, 1, 2, 3)
"""Of the 1 x 1 and the three 3 x 3 branches. The bridge is 8 x 8: wider ones would mostly see padding."""
_OUTPUT_STRIDE = 2


class ResUNetPlusPlusLite0(nn.Module):
    """Dai's ResUNet++ (ASPP bridge, attention gates, residual decoder) with EfficientNet-lite0 as its encoder.

    forward: float [B, input_channels, H, W], H and W multiples of 32 -> logits [B, 1, H, W]. The decoder ends at half
    the sampling, where each position gives the four logits of its 2 x 2 pixels (Shi et al., "Real-Time Single Image
    and Video Super-Resolution Using an Efficient Sub-Pixel CNN", CVPR 2016): layers at full sampling would cost more
    than all others together. 3,610,984 parameters at three channels counting BN statistics as Keras does (3,569,440
    of them trainable); 0.75 GMAC a slice at 256 x 256.

    Source: ``resunet_plus_plus.py`` for bridge, gates and decoder; ``efficientnet_lite.py`` for the encoder.
    """

    def __init__(self, input_channels: int = 3) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.bridge = AtrousPyramid(FEATURE_CHANNELS[-1], BRIDGE_CHANNELS // 4, ASPP_DILATIONS)
        below = (BRIDGE_CHANNELS, *WIDTHS[:0:-1])
        steps = list(zip(below, FEATURE_CHANNELS[-2::-1], WIDTHS[::-1], strict=True))
        self.gates = nn.ModuleList(AttentionGate(b, s, max(8, s // 2)) for b, s, _ in steps)
        self.decoder = nn.ModuleList(ResidualBlock(b + s, width) for b, s, width in steps)
        self.output = nn.Conv2d(WIDTHS[0], _OUTPUT_STRIDE**2, 1)
        initialise_he_normal(self)
        # Last, for the encoder to keep PyTorch's own initialisation.
        self.encoder = EfficientNetLite0Encoder(input_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B, 1, H, W]. Raises InputError for another shape."""
        return self.logits(self.decoded(x)[-1])

    def decoded(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Maps float [B, C, H, W] to the decoder's maps at strides 16, 8, 4, 2. Raises InputError for another shape."""
        skips = self.encoder.features(x)
        maps = [self.bridge(skips.pop())]
        for gate, block in zip(self.gates, self.decoder, strict=True):
            below = functional.interpolate(maps[-1], scale_factor=2.0)
            maps.append(block(torch.cat([below, gate(g=below, x=skips.pop())], dim=1)))
        return maps[1:]

    def logits(self, finest: torch.Tensor) -> torch.Tensor:
        """The decoder's last map as tumour logits [B, 1, H, W]."""
        return functional.pixel_shuffle(self.output(finest), _OUTPUT_STRIDE)
