"""The choices for one segmentation, as the panel and the Python console give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from BrainTumorSegLib.engine.inference.settings import SegmentSettings


@dataclass(frozen=True)
class JobSettings:
    """Choices for one job; ``None`` takes what the model's own validation recommends.

    model: name in the index, None for the default. device: "auto", "cpu", "cuda", "cuda:N" or "mps". gate: slice
    probability, 0-1, below which slices are left out, 0 for none. threshold: tumour probability, 0-1 exclusive.
    minVolume_ml: lesions below this volume are dropped. tta: average with the mirrored study. register: move T1 and
    T1c onto FLAIR first. keepProbability: also import the probability as a volume. Raises InputError for a value out
    of range.
    """

    model: str | None = None
    device: str = "auto"
    gate: float | None = None
    threshold: float | None = None
    minVolume_ml: float | None = None
    tta: bool = True
    register: bool = False
    keepProbability: bool = False

    def __post_init__(self) -> None:
        """Check the numbers by the engine's own rules, before anything is exported."""
        SegmentSettings(threshold=self.threshold, gate=self.gate, min_volume_ml=self.minVolume_ml, tta=self.tta)

    def request(self) -> dict[str, Any]:
        """The part of the worker's segment request that these choices make."""
        return {
            "model": self.model,
            "device": self.device,
            "gate": self.gate,
            "threshold": self.threshold,
            "min_volume_ml": self.minVolume_ml,
            "tta": self.tta,
            "register": self.register,
        }
