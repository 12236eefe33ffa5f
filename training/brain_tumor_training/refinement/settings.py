"""What defines the training of a refiner, the part of a network that sees whole studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from brain_tumor_training.recipes.settings import AugmentationSettings
from BrainTumorSegLib.engine.errors import InputError


@dataclass(frozen=True)
class PatientView:
    """A way to see a patient. variant: of cache.VARIANTS, by number. dropped: sequences shown as FLAIR.

    share: of the samples.
    """

    variant: int
    dropped: Sequence[int]
    share: float


def _views() -> Mapping[str, PatientView]:
    return {
        "head": PatientView(0, (), 0.5),
        "head-flair-only": PatientView(0, (0, 2), 0.15),
        "brain": PatientView(1, (), 0.2),
        "brain-without-t1": PatientView(1, (0,), 0.15),
    }


@dataclass(frozen=True)
class RefinementSettings:
    """How a refiner learns.

    views: by name; each is segmented once by the slice networks, before training. augmentation: of space (rotate_deg,
    scale, translate_fraction) and of the images (gamma, brightness, bias_field with bias_share); a whole study is
    changed alike. logit_scale, logit_shift_std: another network is more or less certain, and finds more or less.
    gate_share: of the samples whose slices without a finding get what the gate leaves behind. crop_share,
    smallest_crop: of the samples that show a part of the stack, and how much of it they show at least.
    checkpoint_every: steps.
    """

    views: Mapping[str, PatientView] = field(default_factory=_views)
    steps: int = 700
    batch_size: int = 2
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    ema_decay: float = 0.99
    seed: int = 20260101
    augmentation: AugmentationSettings = AugmentationSettings(rotate_deg=15.0, scale=0.15, shear=0.0, bias_share=0.35)
    logit_scale: tuple[float, float] = (0.75, 1.3)
    logit_shift_std: float = 0.4
    gate_share: float = 0.5
    crop_share: float = 0.3
    checkpoint_every: int = 100
    smallest_crop: float = 0.6


def changed_settings(changes: Mapping[str, Any]) -> RefinementSettings:
    """The settings with other values of some. Raises InputError for one that there is not."""
    known = [one.name for one in fields(RefinementSettings)]
    for name in changes:
        if name not in known:
            raise InputError(
                f"The 3D correction network has no setting '{name}'.", f"Choose one of {', '.join(known)}."
            )
    return replace(RefinementSettings(), **changes)
