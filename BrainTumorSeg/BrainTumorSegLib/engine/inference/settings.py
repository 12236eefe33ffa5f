"""What a user may choose about one segmentation, checked once on entry."""

from __future__ import annotations

from dataclasses import dataclass

from BrainTumorSegLib.engine.errors import InputError


@dataclass(frozen=True)
class SegmentSettings:
    """Choices for one run; ``None`` takes the value that the model's own metadata recommends.

    threshold: tumour probability, 0-1 exclusive, from which a voxel belongs to the mask.
    gate: slice probability, 0-1, below which a slice and its neighbours count as clear and are not segmented;
        0 segments every slice (the gate is off).
    min_volume_ml: lesions smaller than this are dropped; 0 keeps all.
    tta: average the prediction with that of the left-right mirrored slices (the network's time twice).
    """

    threshold: float | None = None
    gate: float | None = None
    min_volume_ml: float | None = None
    tta: bool = True

    def __post_init__(self) -> None:
        """Raises InputError for a value out of range."""
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise InputError(
                f"The threshold is {self.threshold}, but must lie between 0 and 1.",
                "Choose a probability such as 0.5.",
            )
        if self.gate is not None and not 0 <= self.gate < 1:
            raise InputError(
                f"The gate is {self.gate}, but must be at least 0 and less than 1.",
                "Choose a slice probability such as 0.05, or 'off'.",
            )
        if self.min_volume_ml is not None and not 0 <= self.min_volume_ml < 1000:
            raise InputError(
                f"The minimum lesion volume is {self.min_volume_ml} mL, but must be between 0 and 1000 mL.",
                "Choose a volume such as 0.1.",
            )


def gate_from_text(text: str) -> float:
    """A gate as people write it: a slice probability, or "off". Raises InputError for anything else."""
    if text == "off":
        return 0.0
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f"The gate is {text!r}, which is neither a number nor 'off'.",
            "Choose a slice probability such as 0.05, or 'off'.",
        ) from error
