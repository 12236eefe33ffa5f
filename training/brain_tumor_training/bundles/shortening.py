"""Shorten weights to what matters of them, so that a bundle is a small download.

Nearly all weights are in a few large layers, which a coarse grid hardly changes; the many small layers (first and last
ones, depthwise filters) hold few weights, and each counts. benchmarks/stored_weights.py measures
what it costs and saves.
"""

from __future__ import annotations

import torch

LARGE = 20_000
"""Weights of a layer from which it is large."""
SIGNIFICANT_BITS = 8
"""Of the weights of small layers."""
STEPS_PER_SPREAD = 12
"""Of a large layer's grid: roughly so many steps to the root mean square of a filter's weights."""


def shortened(weights: torch.Tensor) -> torch.Tensor:
    """A tensor of a state dict as it is stored: float16, and what has two axes or more on fewer different values.

    Scales, shifts and statistics are few, and act on whole channels; integers stay.
    """
    if not weights.is_floating_point():
        return weights
    if weights.ndim > 1:
        weights = _on_grid(weights.float()) if weights.numel() >= LARGE else _rounded(weights.float())
    return weights.half()


def _rounded(weights: torch.Tensor) -> torch.Tensor:
    """To the nearest values of SIGNIFICANT_BITS."""
    mantissa, exponent = torch.frexp(weights)
    return torch.ldexp(torch.round(mantissa * 2**SIGNIFICANT_BITS) / 2**SIGNIFICANT_BITS, exponent)


def _on_grid(weights: torch.Tensor) -> torch.Tensor:
    """To multiples of a step, a power of two that float16 keeps exactly, of each filter (first axis)."""
    spread = weights.flatten(1).square().mean(1).sqrt()
    smallest = torch.finfo(torch.float16).smallest_normal * torch.finfo(torch.float16).eps
    step = torch.exp2(torch.round(torch.log2((spread / STEPS_PER_SPREAD).clamp_min(smallest))))
    step = step.reshape(-1, *[1] * (weights.ndim - 1))
    return torch.round(weights / step) * step
