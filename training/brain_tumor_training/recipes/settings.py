"""What defines a training run, so that a run folder can say exactly how its weights were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from BrainTumorSegLib.engine.errors import InputError


@dataclass(frozen=True)
class SamplingSettings:
    """How slices are drawn.

    tumour_share: part of the samples whose slice holds tumour; None shows every slice once an epoch, shuffled, as the
    published systems do. equal: what has equal chances among slices with tumour, and among those without: each slice,
    so that a stack of 80 is seen four times as often as one of 20, or each patient (Buda et al.). brain_share: part
    drawn from the brain-masked variant. sequence_drop: probability, for T1 and T1c each, of being replaced with FLAIR,
    as missing sequences are. neighbour_drop: probability of both neighbouring slices being replaced with the slice
    itself.
    """

    tumour_share: float | None = 0.6
    brain_share: float = 0.3
    sequence_drop: float = 0.25
    neighbour_drop: float = 0.15
    equal: Literal["slices", "patients"] = "slices"

    def __post_init__(self) -> None:
        """Raises InputError where every slice is shown once an epoch, and yet patients are to have equal chances."""
        if self.tumour_share is None and self.equal == "patients":
            raise InputError(
                "Patients can't have equal chances where every slice is shown once an epoch.",
                "Give sampling.tumour_share, or set sampling.equal to slices.",
            )


@dataclass(frozen=True)
class AugmentationSettings:
    """Ranges of the random changes; intensities act on values with background 0 and tissue 1.

    scale and shear are parts of 1, translate_fraction of the slice's side, affine_probability that of turning,
    scaling, shearing and shifting at all (every second sample is mirrored besides). brightness: part of 1, for each
    channel. bias_field: largest logarithm of a smooth field, which bias_share of the samples get. blur_sigma: pixels.
    low_resolution_zoom: part of the sampling that is kept.
    """

    rotate_deg: float = 20.0
    scale: float = 0.3
    shear: float = 0.1
    translate_fraction: float = 0.08
    affine_probability: float = 0.8
    gamma: tuple[float, float] = (0.7, 1.5)
    brightness: float = 0.25
    bias_field: float = 0.3
    bias_share: float = 0.15
    noise_std: float = 0.08
    blur_sigma: tuple[float, float] = (0.4, 1.2)
    low_resolution_zoom: tuple[float, float] = (0.4, 1.0)


@dataclass(frozen=True)
class OptimiserSettings:
    """arguments: PyTorch's own (lr is the phase's). keras_epsilon: apply Adam's epsilon where Keras does.

    Keras adds epsilon before it corrects the second moment's bias, PyTorch after: an epsilon of 0.1 in Keras is
    0.1 / sqrt(1 - beta2^t) in PyTorch, 3.2 at the first step and 0.1 after some 3000: a hidden warm-up.
    """

    name: Literal["adamw", "adam", "nadam"] = "adamw"
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"weight_decay": 1e-2})
    keras_epsilon: bool = False


@dataclass(frozen=True)
class Phase:
    """One stretch of training at one sampling (256 or 128 px), as steps or as epochs of the training slices.

    schedule: "cosine" (linear warm-up, then down to a hundredth), "constant", or "plateau" (see ValidationSettings).
    crop_px: side of the square of each slice that is shown, near its tumour or else in its head; None shows all.
    """

    size_px: int
    steps: int | None = None
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    epochs: int | None = None
    schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    crop_px: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError unless exactly one length is given."""
        if (self.steps is None) == (self.epochs is None):
            raise InputError("The length of a phase is not clear.", "Give either its steps or its epochs.")


@dataclass(frozen=True)
class ValidationSettings:
    """Looking at slices that training does not see, inside the training side of a split.

    share: of the patients (protocol "patients") or of the slices (protocol "random_slices_leaky").
    every_steps: None is once an epoch. monitor: "loss" or "score" (mean volumetric Dice, or the slices' ROC AUC).
    patience: validations without improvement until training stops; the best weights are kept. plateau_patience and
    plateau_factor: of the learning rate's reduction in phases with the schedule "plateau".
    """

    share: float = 0.1
    every_steps: int | None = None
    monitor: Literal["loss", "score"] = "loss"
    patience: int | None = None
    plateau_patience: int = 5
    plateau_factor: float = 0.1


@dataclass(frozen=True)
class SplitSettings:
    """Which slices a run may learn from.

    protocol: "patients" (whole patients are held out, by a folds file or not at all) or "random_slices_leaky": slices
    of the same patient on both sides, as the published systems did. Neighbouring slices are near-copies, so its
    results say nothing about new patients. test_share: of the slices, for the leaky protocol alone.
    """

    protocol: Literal["patients", "random_slices_leaky"] = "patients"
    test_share: float = 0.0


@dataclass(frozen=True)
class TrainingSettings:
    """A whole run. network and arguments are the registry's; task says what the network is asked for.

    init: "scratch", "imagenet_lite0", "imagenet_r50", or "segmentation": the encoder of a trained ResUNetPlusPlusLite0.
    trainable_layers: None trains all, a number the head and that
    many last layers of the backbone (0: a frozen backbone). ema_decay 0 keeps the last weights instead of a mean.
    supervised_strides: of the decoder's steps that get a loss of their own while training (see deep_supervision).
    augmentation: None for none. gradient_norm: None clips nothing. source: whom the recipe follows.
    averaged_phases: the finished weights are the mean of those at the ends of this many last phases, see averaging;
    1 keeps those of the last.
    """

    task: Literal["segmentation", "classification"]
    network: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    channels: Sequence[str] = ("t1", "flair", "t1c", "flair_below", "flair_above")
    init: Literal["scratch", "imagenet_lite0", "imagenet_r50", "segmentation"] = "scratch"
    trainable_layers: int | None = None
    loss: str = "dice_bce"
    supervised_strides: Sequence[int] = field(default_factory=list)
    phases: Sequence[Phase] = (Phase(128, 4000, 2e-3), Phase(256, 900, 1e-3))
    batch_size: int = 16
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    averaged_phases: int = 1
    ema_decay: float = 0.998
    gradient_norm: float | None = 1.0
    seed: int = 20260101
    sampling: SamplingSettings = SamplingSettings()
    augmentation: AugmentationSettings | None = AugmentationSettings()
    split: SplitSettings = SplitSettings()
    validation: ValidationSettings | None = None
    source: str = "this project"

    def __post_init__(self) -> None:
        """Raises InputError for a plateau without validation, and for a mean of phases that there can't be."""
        if self.validation is None and any(phase.schedule == "plateau" for phase in self.phases):
            raise InputError("A plateau needs validation.", "Add the recipe's part 'validation', or use a cosine.")
        if not 1 <= self.averaged_phases <= len(self.phases):
            raise InputError(
                f"The mean of the last {self.averaged_phases} of {len(self.phases)} phases can't be taken.",
                "Set averaged_phases to a number from 1 to that of the phases.",
            )
        if self.averaged_phases > 1 and self.keeps_best:
            raise InputError(
                "Both the best weights and a mean of several phases are asked for.",
                "Leave out averaged_phases, or the validation's patience.",
            )
        if self.averaged_phases > 1 and self.trainable_layers is not None:
            raise InputError(
                "A mean of several phases measures all normalisations anew, those of frozen layers too.",
                "Leave out averaged_phases, or trainable_layers.",
            )

    @property
    def keeps_best(self) -> bool:
        """Whether the finished weights are the best ones that validation saw."""
        return self.validation is not None and self.validation.patience is not None


def settings_from(content: Mapping[str, Any]) -> TrainingSettings:
    """The settings that ``asdict`` of them, stored as JSON, stands for; those that came later have their defaults."""
    parts = {
        "optimiser": OptimiserSettings,
        "sampling": SamplingSettings,
        "augmentation": AugmentationSettings,
        "split": SplitSettings,
        "validation": ValidationSettings,
    }
    made = {name: kind(**content[name]) for name, kind in parts.items() if content.get(name) is not None}
    phases = [Phase(**phase) for phase in content["phases"]]
    return TrainingSettings(**{**content, **made, "phases": phases})


LEAKY = "random_slices_leaky"
