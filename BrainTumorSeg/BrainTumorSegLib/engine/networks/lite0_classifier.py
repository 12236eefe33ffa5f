"""The light slice classifier: does this slice hold tumour?"""

from __future__ import annotations

from typing import ClassVar

import torch

from BrainTumorSegLib.engine.networks.efficientnet_lite import FEATURE_BLOCKS, EfficientNetLite0


class EfficientNetLite0Classifier(EfficientNetLite0):
    """EfficientNet-lite0 with a single tumour logit; ``features`` lets a decoder reuse its encoder.

    forward: float [B, input_channels, H, W], H and W multiples of 32 -> tumour logits [B]. 3,372,289 trainable
    parameters at three channels; 3,414,305 with BN statistics, as Keras counts.
    """

    map_layer: ClassVar[str] = f"_blocks.{FEATURE_BLOCKS[-2]}"
    """Whose map, a 16th of the slice, is explained. The last maps know the whole slice and tell no places apart."""

    def __init__(self, input_channels: int = 3, dropout: float = 0.2) -> None:
        super().__init__(input_channels=input_channels, outputs=1, dropout=dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B]. Raises InputError for another shape."""
        return super().forward(x)[:, 0]
