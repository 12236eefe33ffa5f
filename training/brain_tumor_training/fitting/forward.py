"""A network's logits of a batch on a device, for training, validation and refiners alike."""

from __future__ import annotations

import torch
from torch import nn

from BrainTumorSegLib.engine.inference.device import Compute

_SLICES_NDIM = 4


def forward(network: nn.Module, image: torch.Tensor, compute: Compute) -> torch.Tensor:
    """Float32 logits of slices [B, C, H, W] or studies [B, C, D, H, W], computed in the device's precision."""
    image = image.to(compute.device)
    if image.ndim == _SLICES_NDIM:
        image = image.contiguous(memory_format=torch.channels_last)
    with autocast(compute):
        logits: torch.Tensor = network(image)
    return logits.float()


def autocast(compute: Compute) -> torch.autocast:
    """A context in which networks compute in the device's precision; float32 changes nothing."""
    return torch.autocast(compute.device.type, compute.precision, enabled=compute.precision is not torch.float32)
