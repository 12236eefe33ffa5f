"""Volumetric Dice of groups of patients: by fold, hospital, tumour size, and whether a sequence is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from brain_tumor_training.evaluation.outcome import PatientOutcome

SIZE_BOUNDS_ML = (10.0, 40.0)
"""Small, medium and large tumours; millilitres mean what they say only where the spacing is real."""

_TCGA = re.compile(r"TCGA_(?P<site>[A-Z0-9]{2})_")


def subgroups(outcomes: Sequence[PatientOutcome], fold_of: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """For each group with its patients: how many, mean, median and least volumetric Dice.

    fold_of: by patient, the fold in which the patient was held out; without those who belong to none.
    """
    groups: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name in _groups_of(outcome, fold_of):
            groups.setdefault(name, []).append(outcome.volumetric_dice)
    return {name: _summary(groups[name]) for name in sorted(groups)}


def _groups_of(outcome: PatientOutcome, fold_of: Mapping[str, int]) -> Iterable[str]:
    if outcome.name in fold_of:
        yield f"fold {fold_of[outcome.name]}"
    if found := _TCGA.match(outcome.name):
        yield f"site {found['site']}"
    volume_ml = outcome.counts.reference_voxels * outcome.voxel_volume_ml
    low, high = SIZE_BOUNDS_ML
    if volume_ml < low:
        yield f"reference under {low:g} mL"
    elif volume_ml < high:
        yield f"reference {low:g} to {high:g} mL"
    else:
        yield f"reference from {high:g} mL"
    yield f"sequences: {', '.join(outcome.sequences)}"


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "patients": len(values),
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "minimum": min(values),
    }
