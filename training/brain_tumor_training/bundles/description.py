"""What a bundle says of itself: training data, licence, measured figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from BrainTumorSegLib.engine.models.bundle import Recommendation
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.networks.registry import NETWORKS, Task

LICENCE = "CC-BY-NC-SA-4.0"
"""Of the weights, which the training data require."""
DATA_LICENCE_FILE = "data_license.txt"
"""In a bundle's docs, as MONAI names it."""
MEASURED = "Measured on held-out patients, with these float16 weights"
"""How a bundle's metrics came about, where nothing else is said."""


@dataclass(frozen=True)
class BundleDescription:
    """What a bundle says about itself.

    metrics: measured on held-out patients, by name; measured: how, and with which weights.
    size_px: rows and columns of the slices that it takes.
    """

    name: str
    version: str
    title: str
    description: str
    network: str
    arguments: Mapping[str, Any]
    channels: tuple[str, ...]
    init: str
    patients: int
    recommendation: Recommendation
    metrics: Mapping[str, float] = field(default_factory=dict)
    measured: str = MEASURED
    classifier: str | None = None
    changelog: Mapping[str, str] = field(default_factory=dict)
    size_px: int = SIZE_PX
    plots: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """Segmentation or classification, by the network."""
        return NETWORKS[self.network].task
