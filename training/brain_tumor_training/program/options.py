"""What is asked of the shipped segmentation, in the words of its command line and of its worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SegmentOptions:
    """None leaves the choice to the model or the machine. gate: 0 segments every slice (``--gate off``)."""

    model: str | None = None
    device: str | None = None
    threshold: float | None = None
    gate: float | None = None
    min_volume_ml: float | None = None
    tta: bool = True
    register: bool = False

    def arguments(self) -> list[str]:
        """For ``braintumorseg segment``."""
        values = {
            "--model": self.model,
            "--device": self.device,
            "--threshold": self.threshold,
            "--gate": "off" if self.gate == 0 else self.gate,
            "--min-volume": self.min_volume_ml,
        }
        given = [part for option, value in values.items() if value is not None for part in (option, str(value))]
        flags = {"--no-tta": not self.tta, "--register": self.register}
        return [*given, *(flag for flag, is_on in flags.items() if is_on)]

    def request(self) -> dict[str, Any]:
        """The fields of a worker's segment request."""
        fields = {
            "model": self.model,
            "device": self.device,
            "threshold": self.threshold,
            "gate": self.gate,
            "min_volume_ml": self.min_volume_ml,
            "tta": self.tta,
            "register": self.register,
        }
        return {name: value for name, value in fields.items() if value is not None}
