"""An endless, reproducible stream of training slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from monai.data import get_track_meta, set_track_meta
from torch.utils.data import Dataset

from brain_tumor_training.augmentation import build_augmentation
from brain_tumor_training.cache import CachedPatient
from brain_tumor_training.settings import SamplingSettings, TrainingSettings
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.normalisation import BACKGROUND
from BrainTumorSegLib.engine.preprocessing import CHANNELS

FLAIR = 1
_HEAD, _BRAIN = 0, 1
_SHUFFLE = 1


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


class SliceStream(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Sample number n is a function of (seed, n) alone: workers and resumed runs see the same data in the same order.

    Items: (image float32 [C, size, size], mask float32 [1, size, size]), normalised as the engine does.
    """

    def __init__(self, pool: SlicePool, settings: TrainingSettings, size_px: int, length: int, seed: int) -> None:
        """Raises InputError if slices of a kind that is to be drawn are missing."""
        self._pool = pool
        self._channels = [CHANNELS[name] for name in settings.channels]
        self._length = length
        self._sampling = settings.sampling
        self._augment = None if settings.augmentation is None else build_augmentation(settings.augmentation, size_px)
        self._seed = seed
        self._with_tumour = [one for one in pool.slices if pool.has_tumour(*one)]
        self._without_tumour = [one for one in pool.slices if not pool.has_tumour(*one)]
        self._epoch: tuple[int, npt.NDArray[np.intp]] | None = None
        _check_kinds(len(self._with_tumour), len(self._without_tumour), self._sampling.tumour_share)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self._seed, index))
        patient, position = self._draw(index, rng)
        image, mask = take_slice(
            self._pool.patients[patient], position, self._channels, *_random_view(self._sampling, rng)
        )
        if self._augment is not None:
            self._augment.set_random_state(seed=int(rng.integers(2**31)))
            with without_metadata():
                sample = self._augment({"image": torch.from_numpy(image), "mask": torch.from_numpy(mask)})
            image, mask = sample["image"], sample["mask"]
        values = torch.as_tensor(image).clamp(0, 4) + BACKGROUND
        return values, torch.as_tensor(mask)

    def _draw(self, index: int, rng: np.random.Generator) -> tuple[int, int]:
        share = self._sampling.tumour_share
        if share is None:
            epoch, position = divmod(index, len(self._pool))
            return self._pool.slices[self._order(epoch)[position]]
        kind = self._with_tumour if rng.random() < share else self._without_tumour
        return kind[rng.integers(len(kind))]

    def _order(self, epoch: int) -> npt.NDArray[np.intp]:
        """The epoch's shuffled order, kept until another epoch is asked for."""
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng((self._seed, epoch, _SHUFFLE))
            self._epoch = (epoch, rng.permutation(len(self._pool)))
        return self._epoch[1]


def take_slice(
    patient: CachedPatient,
    position: int,
    channels: Sequence[tuple[int, int]],
    variant: int = _HEAD,
    dropped: frozenset[int] = frozenset(),
    alone: bool = False,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """One slice as image [C, H, W], background 0, and mask [1, H, W].

    channels: of engine.preprocessing.CHANNELS. dropped: sequences shown as FLAIR. alone: neighbours are the slice.
    """
    planes = []
    for sequence, steps in channels:
        source = FLAIR if sequence in dropped else sequence
        neighbour = position if alone else position + steps * patient.neighbour_step
        planes.append(patient.variants[variant, source, min(max(neighbour, 0), len(patient.mask) - 1)])
    image = np.stack(planes).astype(np.float32) - BACKGROUND
    return image, patient.mask[position][None].astype(np.float32)


@contextmanager
def without_metadata() -> Iterator[None]:
    """MONAI's transforms on plain tensors: the record of what they did costs time, and nothing here is inverted."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


def _random_view(sampling: SamplingSettings, rng: np.random.Generator) -> tuple[int, frozenset[int], bool]:
    """Variant, sequences dropped, and whether the neighbours are left out."""
    variant = _BRAIN if rng.random() < sampling.brain_share else _HEAD
    dropped = frozenset(sequence for sequence in (0, 2) if rng.random() < sampling.sequence_drop)
    return variant, dropped, bool(rng.random() < sampling.neighbour_drop)


def _check_kinds(with_tumour: int, without_tumour: int, share: float | None) -> None:
    missing = share is not None and ((share > 0 and not with_tumour) or (share < 1 and not without_tumour))
    if missing or not with_tumour + without_tumour:
        raise InputError(
            f"There are {with_tumour} training slices with tumour and {without_tumour} without.",
            "Give patients who have both, or set the recipe's sampling.tumour_share to null.",
        )
