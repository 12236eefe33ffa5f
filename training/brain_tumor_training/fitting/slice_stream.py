"""An endless, reproducible stream of training slices, drawn as numbers: the pixels stay where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from brain_tumor_training.data.packed_pixels import PackedPixels
from brain_tumor_training.data.resident_slices import SliceCut, span
from brain_tumor_training.data.slices import BRAIN, FLAIR, HEAD, SlicePool, planes_of
from brain_tumor_training.fitting.augmentation import SampleChanges, draw_changes, no_changes
from brain_tumor_training.recipes.settings import SamplingSettings, TrainingSettings
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND
from BrainTumorSegLib.engine.networks.inputs import CHANNELS

_SHUFFLE = 1
_CENTRE_JITTER_PX = 40
_CROP_MARGIN = 1.25
"""How much wider than the crop the window is that is read, for a turned or shrunk slice to fill the crop."""


@dataclass(frozen=True)
class Sample:
    """One drawn slice: what to cut, and how to change what was cut."""

    cut: SliceCut
    changes: SampleChanges


class SliceStream:
    """Sample number n is a function of (seed, n) alone: processes and resumed runs see the same in the same order.

    crop_px: side of the square that training sees of a slice of size_px, None for all of it; a wider window around it
    is read, so that the changes of space find something at its border.
    """

    def __init__(
        self, pool: SlicePool, settings: TrainingSettings, size_px: int, seed: int, crop_px: int | None = None
    ) -> None:
        """Raises InputError if slices of a kind that is to be drawn are missing."""
        self._pool = pool
        self._channels = [CHANNELS[name] for name in settings.channels]
        self._size_px = size_px
        self._side_px = None if crop_px is None else round(crop_px * _CROP_MARGIN)
        self._sampling = settings.sampling
        self._augmentation = settings.augmentation
        self._seed = seed
        with_tumour = [one for one in pool.slices if pool.has_tumour(*one)]
        without_tumour = [one for one in pool.slices if not pool.has_tumour(*one)]
        self._is_with_tumour = frozenset(with_tumour)
        self._with_tumour, self._without_tumour = (self._groups(some) for some in (with_tumour, without_tumour))
        self._epoch: tuple[int, npt.NDArray[np.intp]] | None = None
        self._pixels: dict[tuple[int, ...], PackedPixels] = {}
        _check_kinds(len(with_tumour), len(without_tumour), self._sampling.tumour_share)

    @property
    def side_px(self) -> int | None:
        """Side of the windows that samples are cut to; None for whole slices."""
        return self._side_px

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._seed, index))
        patient, position = self._draw(index, rng)
        planes = planes_of(self._pool.patients[patient], position, self._channels, *_random_view(self._sampling, rng))
        window = self._draw_window(patient, position, planes, rng)
        changes = no_changes(len(self._channels))
        if self._augmentation is not None:
            changes = draw_changes(self._augmentation, len(self._channels), self._size_px, rng)
        return Sample(SliceCut(patient, position, planes, *window), changes)

    def _draw_window(
        self, patient: int, position: int, planes: list[tuple[int, int, int]], rng: np.random.Generator
    ) -> tuple[slice, slice]:
        """Rows and columns near a pixel of the tumour, or of the head where there is none."""
        if self._side_px is None:
            return slice(None), slice(None)
        height, width = self._pool.patients[patient].mask.shape[1:]
        middle = height // 2, width // 2
        pixels = self._pixels_of(patient, position, planes[min(FLAIR, len(planes) - 1)])
        if len(pixels):
            row, column = pixels.place(int(rng.integers(len(pixels))))
            jitter = rng.integers(-_CENTRE_JITTER_PX, _CENTRE_JITTER_PX + 1, 2)
            middle = row + int(jitter[0]), column + int(jitter[1])
        return span(middle[0], self._side_px, height), span(middle[1], self._side_px, width)

    def _pixels_of(self, patient: int, position: int, plane: tuple[int, int, int]) -> PackedPixels:
        """Of a slice's tumour, or else of the head that a plane shows: made when asked for, then kept (9 kB each)."""
        has_tumour = (patient, position) in self._is_with_tumour
        key = (patient, position) if has_tumour else (patient, *plane)
        if key not in self._pixels:
            one = self._pool.patients[patient]
            shown = one.mask[position] if has_tumour else np.asarray(one.variants[plane] > BACKGROUND)
            self._pixels[key] = PackedPixels.of(shown)
        return self._pixels[key]

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
