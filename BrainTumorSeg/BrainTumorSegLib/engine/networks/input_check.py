"""The checks that networks make on their input before they compute."""

from __future__ import annotations

import torch

from BrainTumorSegLib.engine.errors import DefectError, InputError


def check_input(x: torch.Tensor, channels: int, multiple: int = 16) -> None:
    """Raises InputError unless x is [B, channels, H, W] with H and W positive multiples of ``multiple`` pixels.

    A network that halves its input and joins the halves again needs sizes that halve without remainder.
    """
    if x.ndim != 4 or x.shape[1] != channels:
        raise InputError(
            f"The network takes [B, {channels}, H, W], but got an array of shape {list(x.shape)}.",
            f"Give it slices of {channels} channels, or a model with the right number of input channels.",
        )
    height, width = x.shape[-2:]
    valid = tuple(max(1, -(-size // multiple)) * multiple for size in (height, width))
    if (height, width) != valid:
        raise InputError(
            f"The network takes slices whose sides are multiples of {multiple} pixels, but got {height} x {width}.",
            f"Pad or resample them; the next valid size is {valid[0]} x {valid[1]}.",
        )


def check_study(x: torch.Tensor, channels: int, multiple: int) -> None:
    """Raises DefectError unless x is [B, channels, D, H, W] with H and W positive multiples of ``multiple``."""
    height, width = x.shape[-2:]
    if x.ndim != 5 or x.shape[1] != channels or not height or not width or height % multiple or width % multiple:
        raise DefectError(
            f"The network takes [B, {channels}, D, H, W] with sides that are multiples of {multiple}, but got an array "
            f"of shape {list(x.shape)}.",
            "This is a defect; please report it.",
        )
