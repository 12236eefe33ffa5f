"""The batches that a network learns from: slices of a pool, changed on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from brain_tumor_training.data.resident_slices import ResidentSlices
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.augmentation import change
from brain_tumor_training.fitting.averaging import STATISTICS_BATCHES
from brain_tumor_training.fitting.distributed import BatchShare, Processes
from brain_tumor_training.fitting.slice_stream import SliceStream
from brain_tumor_training.recipes.settings import Phase, TrainingSettings
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND


@dataclass(frozen=True)
class Pools:
    """The slices of one sampling: those to learn from, and those that steer (None without validation)."""

    training: SlicePool
    validation: SlicePool | None


LoadPools = Callable[[int], Pools]
"""The slices sampled at the given number of pixels."""


class BatchSource:
    """Makes batches (image, mask) as the network sees them, on the device.

    image: float32 [B, C, H, W] with background -1. mask: float32 [B, 1, H, W] of 0 and 1.
    """

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        self._settings = settings
        self._device = device
        self._kept: tuple[SlicePool, ResidentSlices] | None = None

    def of_phase(self, pool: SlicePool, number: int, share: BatchShare) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """This process's share of a phase."""
        return self._batches(pool, self._settings.phases[number], self._settings.seed + number, share)

    def for_statistics(self, pool: SlicePool) -> Iterator[torch.Tensor]:
        """Images such as the last phase showed, but others; all in this process."""
        phases = self._settings.phases
        share = BatchShare(STATISTICS_BATCHES, self._settings.batch_size, 0, Processes())
        for image, _ in self._batches(pool, phases[-1], self._settings.seed + len(phases), share):
            yield image

    def _batches(
        self, pool: SlicePool, phase: Phase, seed: int, share: BatchShare
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        stream = SliceStream(pool, self._settings, phase.size_px, seed, phase.crop_px)
        slices = self._resident(pool)
        for numbers in share:
            samples = [stream[number] for number in numbers]
            image, mask = slices.cut([one.cut for one in samples], stream.side_px)
            changes = [one.changes for one in samples]
            image, mask = change(image, mask, changes, phase.crop_px or phase.size_px)
            yield image + BACKGROUND, mask

    def _resident(self, pool: SlicePool) -> ResidentSlices:
        """The pool's slices on the device: sent once for all phases that learn from the same pool."""
        if self._kept is None or self._kept[0] is not pool:
            self._kept = None  # another pool's slices leave before these come
            self._kept = pool, ResidentSlices.of(pool, self._device)
        return self._kept[1]
