"""The papers' slice classifier: does this slice hold tumour? ResNet-50 with either's head."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import torch
from monai.networks.nets.resnet import ResNetFeatures
from torch import nn

from BrainTumorSegLib.engine.errors import InputError, ModelError
from BrainTumorSegLib.engine.networks.input_check import check_input

RESNET_CHANNELS = 2048
RESNET_STRIDE = 32
POOL = 4
DENSE_UNITS = 256


class ClassifierHead(StrEnum):
    """What follows ResNet-50's last map [B, 2048, H / 32, W / 32]."""

    FLATTEN = "flatten"
    """Deng et al.: AveragePooling 4, Flatten, Dense 256, Dropout, Dense; bound to one image size."""

    GLOBAL_AVERAGE = "global_average"
    """Varolia et al.: global average, Dense, Dropout, Dense. The paper gives no width; 256 is Deng's."""


class ResNet50Classifier(nn.Module):
    """MONAI's 2D ResNet-50 with one of the papers' heads.

    forward: float [B, input_channels, H, W] -> tumour logits [B]. H and W are multiples of 32 with the global
    average, exactly ``image_size`` with the flattening head.

    Trainable parameters at three channels and 256 px: backbone 23,508,032; head 2,097,665 (flatten) or 524,801
    (global average); together 25,605,697 or 24,032,833. As Keras counts, BN statistics (53,120) included: 25,658,817
    or 24,085,953. The 25,685,634 printed for Deng's two-output form has besides a second output (257) and a bias on
    each of Keras' 53 convolutions (26,560), which the batch normalisation behind each cancels.

    Source: He et al., "Deep Residual Learning", CVPR 2016 (stride in the 3 x 3, as MONAI and torchvision have it);
    heads: Deng, Cui, Liu, section 3.2; Varolia and Gopala Krishnan, section III.
    """

    map_layer: ClassVar[str] = "backbone.layer3"
    """Whose map, a 16th of the slice, is explained: see the light classifier."""

    def __init__(
        self,
        input_channels: int = 3,
        head: ClassifierHead | str = ClassifierHead.FLATTEN,
        image_size: int = 256,
        dropout: float = 0.3,
    ) -> None:
        """Raises ModelError for an unknown head or an image size that the flattening head can't pool."""
        super().__init__()
        self.input_channels = input_channels
        self.image_size = image_size
        self.head_kind = parse_head(head)
        self.backbone = ResNetFeatures("resnet50", pretrained=False, spatial_dims=2, in_channels=input_channels)
        self.head = build_head(self.head_kind, image_size, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps float [B, C, H, W] to tumour logits [B]. Raises InputError for another shape."""
        check_input(x, self.input_channels, RESNET_STRIDE)
        if self.head_kind is ClassifierHead.FLATTEN and x.shape[-2:] != (self.image_size, self.image_size):
            raise InputError(
                f"This classifier takes slices of {self.image_size} x {self.image_size} pixels, "
                f"but got {x.shape[-2]} x {x.shape[-1]}.",
                "Resample the slices, or use a classifier with a global average.",
            )
        return self.head(self.backbone(x)[-1])[:, 0]


def parse_head(head: ClassifierHead | str) -> ClassifierHead:
    """The head of that name. Raises ModelError, which lists the known ones."""
    try:
        return ClassifierHead(head)
    except ValueError as error:
        known = ", ".join(ClassifierHead)
        raise ModelError(f"There is no classifier head '{head}'.", f"Choose one of: {known}.") from error


def build_head(kind: ClassifierHead, image_size: int, dropout: float) -> nn.Sequential:
    """The layers from float [B, 2048, H / 32, W / 32] to a logit [B, 1]."""
    if kind is ClassifierHead.GLOBAL_AVERAGE:
        pool: nn.Module = nn.AdaptiveAvgPool2d(1)
        inputs = RESNET_CHANNELS
    else:
        side, rest = divmod(image_size, RESNET_STRIDE * POOL)
        if side < 1 or rest:
            raise ModelError(
                f"The flattening head can't pool slices of {image_size} pixels.",
                f"Choose an image_size that is a multiple of {RESNET_STRIDE * POOL}, such as 256.",
            )
        pool = nn.AvgPool2d(POOL)
        inputs = RESNET_CHANNELS * side**2
    return nn.Sequential(
        pool,
        nn.Flatten(),
        nn.Linear(inputs, DENSE_UNITS),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(DENSE_UNITS, 1),
    )
