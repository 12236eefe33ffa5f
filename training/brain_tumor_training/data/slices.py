"""One slice of a patient as training takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brain_tumor_training.data.cache import CachedPatient
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND

HEAD, BRAIN = 0, 1
"""Which of a cached slice's two images: the whole head, or the brain alone."""

FLAIR = 1


@dataclass(frozen=True)
class SlicePool:
    """Slices that may be used: (index of the patient, slice), in a fixed order."""

    patients: Sequence[CachedPatient]
    slices: Sequence[tuple[int, int]]

    @classmethod
    def of_all(cls, patients: Sequence[CachedPatient]) -> SlicePool:
        """Every slice of the patients."""
        return cls(patients, [(p, s) for p, patient in enumerate(patients) for s in range(len(patient.mask))])

    def __len__(self) -> int:
        return len(self.slices)

    def has_tumour(self, patient: int, position: int) -> bool:
        """Whether the reference of a slice is not empty."""
        return bool(self.patients[patient].mask[position].any())


def planes_of(
    patient: CachedPatient,
    position: int,
    channels: Sequence[tuple[int, int]],
    variant: int = HEAD,
    dropped: frozenset[int] = frozenset(),
    alone: bool = False,
) -> list[tuple[int, int, int]]:
    """Where in ``patient.variants`` each channel of one slice lies: (variant, sequence, slice).

    channels: of engine.networks.inputs.CHANNELS. dropped: sequences shown as FLAIR. alone: neighbours are the slice.
    """
    step, last = 0 if alone else patient.neighbour_step, len(patient.mask) - 1
    return [
        (variant, FLAIR if sequence in dropped else sequence, min(max(position + steps * step, 0), last))
        for sequence, steps in channels
    ]


def take_slice(
    patient: CachedPatient,
    position: int,
    channels: Sequence[tuple[int, int]],
    variant: int = HEAD,
    dropped: frozenset[int] = frozenset(),
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """One slice as image [C, H, W], background 0, and mask [1, H, W]; see ``planes_of``."""
    planes = [patient.variants[plane] for plane in planes_of(patient, position, channels, variant, dropped)]
    image = np.stack(planes).astype(np.float32) - BACKGROUND
    return image, patient.mask[position][None].astype(np.float32)
