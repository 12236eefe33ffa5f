"""What defines a training run, so that a run folder can say exactly how its weights were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class SamplingSettings:
    """How slices are drawn.

    tumour_share: part of the samples whose slice holds tumour. brain_share: part drawn from the brain-masked variant.
    sequence_drop: probability, for T1 and T1c each, of being replaced with FLAIR, as missing sequences are.
    neighbour_drop: probability of both neighbouring slices being replaced with the slice itself.
    """

    tumour_share: float = 0.6
    brain_share: float = 0.3
    sequence_drop: float = 0.25
    neighbour_drop: float = 0.15


@dataclass(frozen=True)
class AugmentationSettings:
    """Ranges of the random changes, in MONAI's terms; intensities act on values with background 0 and tissue 1."""

    rotate_deg: float = 20.0
    scale: float = 0.3
    shear: float = 0.1
    translate_fraction: float = 0.08
    affine_probability: float = 0.8
    gamma: tuple[float, float] = (0.7, 1.5)
    brightness: float = 0.25
    bias_field: float = 0.3
    noise_std: float = 0.08
    blur_sigma: tuple[float, float] = (0.4, 1.2)
    low_resolution_zoom: tuple[float, float] = (0.4, 1.0)


@dataclass(frozen=True)
class Phase:
    """One stretch of training at one sampling: its steps, and the learning rate from which a cosine falls."""

    size_px: int
    steps: int
    learning_rate: float
    warmup_steps: int = 100


@dataclass(frozen=True)
class TrainingSettings:
    """A whole run. network and arguments are the registry's; task says what the network is asked for."""

    task: Literal["segmentation", "classification"]
    network: str
    arguments: dict[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = ("t1", "flair", "t1c", "flair_below", "flair_above")
    init: str = "scratch"
    loss: str = "dice_bce"
    phases: tuple[Phase, ...] = (Phase(128, 4000, 2e-3), Phase(256, 1000, 1e-3))
    batch_size: int = 16
    weight_decay: float = 1e-2
    ema_decay: float = 0.998
    gradient_norm: float = 1.0
    seed: int = 20260101
    sampling: SamplingSettings = SamplingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
