"""The choices for one segmentation, as the panel and the Python console give them."""

from __future__ import annotations

from dataclasses import dataclass

from BrainTumorSegLib.engine.settings import RunSettings


@dataclass(frozen=True)
class JobSettings(RunSettings):
    """The engine's choices by its own names and rules, and what only a scene has.

    keepProbability: offer the probability among the scene's volumes; it comes along hidden otherwise. Raises InputError
    for a value out of range, before anything is exported.
    """

    keepProbability: bool = False
