"""A reproduction as it lies in its folder: what was measured, and what its two runs tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brain_tumor_training.reproduction.protocols import RESULT
from brain_tumor_training.runs.history import RunHistory, stored_history
from BrainTumorSegLib.engine.errors import InputError

COMPARABLE: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "Dice": ("all_slice_dice", "tumour_slice_dice", "pooled_pixel_dice"),
        "IoU": ("all_slice_iou", "tumour_slice_iou", "pooled_pixel_iou"),
        "Tversky index": ("pooled_pixel_tversky_index",),
        "pixel accuracy": ("pooled_pixel_accuracy",),
        "accuracy": ("accuracy",),
    }
)
"""What a printed quantity could be, by its authors' name; they do not say which of several it is."""


@dataclass(frozen=True)
class Reproduced:
    """result: reproduction.json. histories: of the leaky and the honest run."""

    result: Mapping[str, Any]
    histories: Mapping[str, RunHistory]

    @property
    def recipe(self) -> str:
        """Its name."""
        return str(self.result["recipe"])

    @property
    def leaky(self) -> Mapping[str, Any]:
        """Measured under the authors' protocol."""
        return self.result["authors_protocol_leaky"]

    @property
    def honest(self) -> Mapping[str, Any]:
        """Measured on held-out patients."""
        return self.result["honest_protocol"]

    @cached_property
    def changes(self) -> list[str]:
        """Settings that differ from the recipe's, of either run."""
        found = [change for one in self.histories.values() for change in one.changes(self.recipe)]
        return list(dict.fromkeys(found))

    @property
    def is_shortened(self) -> bool:
        """Whether this is not what the recipe says."""
        return bool(self.changes)


def read_result(folder: Path) -> Reproduced:
    """The reproduction in a folder: its reproduction.json is enough. Raises InputError if there is none."""
    path = folder / RESULT
    if not path.is_file():
        raise InputError(f"{folder} holds no reproduction.", "Run `braintumorseg-train reproduce` first.")
    result = json.loads(path.read_text())
    if "runs" not in result:
        raise InputError(
            f"{path} does not say how its runs went.",
            "Run the same `braintumorseg-train reproduce` again; finished runs are measured, not trained again.",
        )
    return Reproduced(result, {name: stored_history(content) for name, content in result["runs"].items()})


def find_reproductions(runs: Path) -> dict[str, Reproduced]:
    """All below a folder, by recipe. Raises InputError where two are of one recipe: which to show is not clear."""
    found: dict[str, Reproduced] = {}
    for file in sorted(runs.glob(f"**/{RESULT}")):
        one = read_result(file.parent)
        if one.recipe in found:
            raise InputError(f"{runs} holds two reproductions of {one.recipe}.", "Move one of them elsewhere.")
        found[one.recipe] = one
    return found


def value_of(measured: Mapping[str, Any], key: str) -> float:
    """A metric's value; NaN where it is not defined."""
    found = measured.get(key, measured.get("at_threshold", {}).get("0.5", {}).get(key))
    return float("nan") if found is None or found["value"] is None else float(found["value"])


def comparable(reproduced: Reproduced, kind: str) -> str:
    """Which definition of a printed quantity comes nearest to the printed value under the authors' protocol."""
    printed = reproduced.result["reported"].get(kind, 1.0)
    return min(COMPARABLE[kind], key=lambda key: abs(value_of(reproduced.leaky, key) - printed))
