"""A slice network asked twice: a brain is much the same seen in a mirror, and errors of the two answers differ."""

from __future__ import annotations

import torch
from torch import nn


def answer_with_mirror_image(network: nn.Module, slices: torch.Tensor) -> torch.Tensor:
    """Logits float32 [B, 1, H, W]: the mean of what a network says of slices [B, C, H, W] and of them mirrored
    left-right, mirrored back. Slices come to the device once.
    """
    seen = network(slices).float()
    mirrored: torch.Tensor = network(slices.flip(-1)).float().flip(-1)
    return (seen + mirrored) / 2
