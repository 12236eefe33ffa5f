"""An endless, reproducible stream of training slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from brain_tumor_training.data.slices import BRAIN, FLAIR, HEAD, SlicePool, take_slice
from brain_tumor_training.fitting.augmentation import SampleChanges, draw_changes, no_changes
from brain_tumor_training.recipes.settings import SamplingSettings, TrainingSettings
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.networks.inputs import CHANNELS

_SHUFFLE = 1
_CENTRE_JITTER_PX = 40
_CROP_MARGIN = 1.25
"""How much wider than the crop the window is that is read, for a turned or shrunk slice to fill the crop."""


@dataclass(frozen=True)
class Sample:
    """One drawn slice before its changes.

    image: float32 [C, H, W], background 0, normalised as the engine does. mask: float32 [1, H, W] of 0 and 1.
    """

    image: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    changes: SampleChanges


@dataclass(frozen=True)
class Batch:
    """image: float32 [B, C, H, W]; mask: float32 [B, 1, H, W]; changes: one per sample."""

    image: torch.Tensor
    mask: torch.Tensor
    changes: list[SampleChanges]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Batch:
        """Several samples of one size together (a DataLoader's collate_fn)."""
        image, mask = (np.stack([getattr(one, name) for one in samples]) for name in ("image", "mask"))
        return cls(torch.from_numpy(image), torch.from_numpy(mask), [one.changes for one in samples])


class SliceStream(Dataset[Sample]):
    """Sample number n is a function of (seed, n) alone: workers and resumed runs see the same data in the same order.

    crop_px: side of the square that training sees of a slice of size_px, None for all of it; a wider window around it
    is read, so that the changes of space find something at its border.
    """

    def __init__(
        self,
        pool: SlicePool,
        settings: TrainingSettings,
        size_px: int,
        length: int,
        seed: int,
        crop_px: int | None = None,
    ) -> None:
        """Raises InputError if slices of a kind that is to be drawn are missing."""
        self._pool = pool
        self._channels = [CHANNELS[name] for name in settings.channels]
        self._length = length
        self._size_px = size_px
        self._crop_px = crop_px
        self._sampling = settings.sampling
        self._augmentation = settings.augmentation
        self._seed = seed
        with_tumour = [one for one in pool.slices if pool.has_tumour(*one)]
        without_tumour = [one for one in pool.slices if not pool.has_tumour(*one)]
        self._with_tumour, self._without_tumour = (self._groups(some) for some in (with_tumour, without_tumour))
        self._epoch: tuple[int, npt.NDArray[np.intp]] | None = None
        _check_kinds(len(with_tumour), len(without_tumour), self._sampling.tumour_share)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._seed, index))
        patient, position = self._draw(index, rng)
        view = _random_view(self._sampling, rng)
        image, mask = take_slice(self._pool.patients[patient], position, self._channels, *view)
        if self._crop_px is not None:
            centre = _draw_centre(image, mask, rng)
            image, mask = (window(one, centre, round(self._crop_px * _CROP_MARGIN)) for one in (image, mask))
        if self._augmentation is None:
            return Sample(image, mask, no_changes(len(self._channels)))
        return Sample(image, mask, draw_changes(self._augmentation, len(self._channels), self._size_px, rng))

    def _draw(self, index: int, rng: np.random.Generator) -> tuple[int, int]:
        share = self._sampling.tumour_share
        if share is None:
            epoch, position = divmod(index, len(self._pool))
            return self._pool.slices[self._order(epoch)[position]]
        groups = self._with_tumour if rng.random() < share else self._without_tumour
        group = groups[rng.integers(len(groups))]
        return group[rng.integers(len(group))]

    def _groups(self, slices: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """Slices in groups of equal chances: each patient's own, or all in one."""
        if self._sampling.equal == "slices":
            return [slices]
        return [list(some) for _, some in groupby(sorted(slices), key=itemgetter(0))]

    def _order(self, epoch: int) -> npt.NDArray[np.intp]:
        """The epoch's shuffled order, kept until another epoch is asked for."""
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng((self._seed, epoch, _SHUFFLE))
            self._epoch = (epoch, rng.permutation(len(self._pool)))
        return self._epoch[1]


def _draw_centre(
    image: npt.NDArray[np.float32], mask: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[int, int]:
    """Row and column of a window's centre: near a pixel of the tumour, or of the head where there is none."""
    shown = mask[0] if mask.any() else image[min(FLAIR, len(image) - 1)] > 0
    rows, columns = np.nonzero(shown)
    if not len(rows):
        return image.shape[1] // 2, image.shape[2] // 2
    chosen = rng.integers(len(rows))
    jitter = rng.integers(-_CENTRE_JITTER_PX, _CENTRE_JITTER_PX + 1, 2)
    return int(rows[chosen] + jitter[0]), int(columns[chosen] + jitter[1])


def window(array: npt.NDArray[np.float32], centre: tuple[int, int], side_px: int) -> npt.NDArray[np.float32]:
    """The square [C, side, side] around a pixel, moved inward where it leaves the slice, 0 where the slice is smaller.

    Moving inward rather than padding: a network that saw black squares at random places would learn those.
    """
    pad = [max(0, side_px - side) for side in array.shape[1:]]
    if any(pad):
        array = np.pad(array, ((0, 0), *((one // 2, one - one // 2) for one in pad)))
    starts = [
        min(max(0, middle + one // 2 - side_px // 2), side - side_px)
        for middle, one, side in zip(centre, pad, array.shape[1:], strict=True)
    ]
    return np.ascontiguousarray(array[:, starts[0] : starts[0] + side_px, starts[1] : starts[1] + side_px])


def _random_view(sampling: SamplingSettings, rng: np.random.Generator) -> tuple[int, frozenset[int], bool]:
    """Variant, sequences dropped, and whether the neighbours are left out."""
    variant = BRAIN if rng.random() < sampling.brain_share else HEAD
    dropped = frozenset(sequence for sequence in (0, 2) if rng.random() < sampling.sequence_drop)
    return variant, dropped, bool(rng.random() < sampling.neighbour_drop)


def _check_kinds(with_tumour: int, without_tumour: int, share: float | None) -> None:
    missing = share is not None and ((share > 0 and not with_tumour) or (share < 1 and not without_tumour))
    if missing or not with_tumour + without_tumour:
        raise InputError(
            f"There are {with_tumour} training slices with tumour and {without_tumour} without.",
            "Give patients who have both, or set the recipe's sampling.tumour_share to null.",
        )
