"""The losses that the recipes name; each maps logits and masks [B, 1, H, W] to a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.losses import DiceLoss, TverskyLoss
from torch.nn import functional

from BrainTumorSegLib.engine.errors import InputError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_FOCAL_EXPONENT = 0.75
_SMALLEST = 1e-6


def jaccard(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - soft IoU over the whole batch (Dai et al.; MONAI's DiceLoss with jaccard=True)."""
    return DiceLoss(sigmoid=True, jaccard=True, batch=True)(logits, mask)


def tversky(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - Tversky index over the batch, false negatives weighing 0.7 and false positives 0.3."""
    return TverskyLoss(sigmoid=True, batch=True, alpha=0.3, beta=0.7)(logits, mask)


def focal_tversky(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(1 - TI)^0.75 (Abraham and Khan 2019, gamma 4/3). Clamped: the gradient of x^0.75 is unbounded at 0."""
    return tversky(logits, mask).clamp_min(_SMALLEST) ** _FOCAL_EXPONENT


def binary_cross_entropy(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over all pixels."""
    return functional.binary_cross_entropy_with_logits(logits, mask)


def focal_tversky_bce(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Focal Tversky plus binary cross-entropy."""
    return focal_tversky(logits, mask) + binary_cross_entropy(logits, mask)


def jaccard_bce(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Jaccard plus twice the binary cross-entropy."""
    return jaccard(logits, mask) + 2 * binary_cross_entropy(logits, mask)


def dice_bce(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice over the batch, plus twice the binary cross-entropy."""
    return DiceLoss(sigmoid=True, batch=True)(logits, mask) + 2 * binary_cross_entropy(logits, mask)


def slice_cross_entropy(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of slice logits [B] against whether each mask [B, 1, H, W] holds any tumour."""
    return functional.binary_cross_entropy_with_logits(logits, mask.flatten(1).amax(1))


LOSSES: dict[str, Loss] = {
    loss.__name__: loss
    for loss in (
        binary_cross_entropy,
        jaccard,
        jaccard_bce,
        tversky,
        focal_tversky,
        focal_tversky_bce,
        dice_bce,
        slice_cross_entropy,
    )
}


def loss_named(name: str) -> Loss:
    """The loss of that name. Raises InputError that lists the known ones."""
    if name not in LOSSES:
        raise InputError(f"There is no loss named '{name}'.", f"Choose one of {', '.join(sorted(LOSSES))}.")
    return LOSSES[name]
