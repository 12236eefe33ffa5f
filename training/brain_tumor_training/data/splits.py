"""Which slices a run learns from, which steer it, and which it must never see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brain_tumor_training.data.cache import CachedPatient
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.recipes.settings import LEAKY, TrainingSettings
from BrainTumorSegLib.engine.errors import InputError


@dataclass(frozen=True)
class Split:
    """Names of slices, patient by patient: {patient: [slice, ...]}. test is used by the leaky protocol alone."""

    training: dict[str, list[int]]
    validation: dict[str, list[int]]
    test: dict[str, list[int]]
    protocol: str


def make_split(patients: Sequence[CachedPatient], settings: TrainingSettings) -> Split:
    """Divides the slices of the training side, reproducibly by the settings' seed.

    Protocol "patients": validation holds whole patients. "random_slices_leaky": validation and test are slices of
    patients who are also trained on. Raises InputError if a side would be empty.
    """
    validation_share = settings.validation.share if settings.validation else 0.0
    of_patients = [[(patient.name, s) for s in range(len(patient.mask))] for patient in patients]
    units = [[one] for unit in of_patients for one in unit] if settings.split.protocol == LEAKY else of_patients
    test_share = settings.split.test_share if settings.split.protocol == LEAKY else 0.0
    order = np.random.default_rng(settings.seed).permutation(len(units))
    test_end = round(test_share * len(units))
    validation_end = test_end + _count(validation_share, len(units))
    if validation_end >= len(units):
        raise InputError(
            f"{len(units)} {'slices' if settings.split.protocol == LEAKY else 'patients'} are too few to split.",
            "Give more patients, or make the recipe's validation.share smaller.",
        )
    parts = np.split(order, [test_end, validation_end])
    test, validation, training = ([one for unit in sorted(part) for one in units[unit]] for part in parts)
    return Split(_by_patient(training), _by_patient(validation), _by_patient(test), settings.split.protocol)


def pool_of(patients: Sequence[CachedPatient], wanted: dict[str, list[int]]) -> SlicePool:
    """The slices of a split's side."""
    slices = [(p, s) for p, patient in enumerate(patients) for s in wanted.get(patient.name, ())]
    return SlicePool(patients, slices)


def _count(share: float, units: int) -> int:
    """At least one unit where there is a share."""
    return max(1, round(share * units)) if share > 0 else 0


def _by_patient(slices: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = {}
    for name, index in slices:
        grouped.setdefault(name, []).append(index)
    return grouped
