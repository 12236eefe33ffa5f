"""The batches that a network learns from: slices of a pool, changed on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.augmentation import change
from brain_tumor_training.fitting.averaging import STATISTICS_BATCHES
from brain_tumor_training.fitting.distributed import BatchShare, Processes
from brain_tumor_training.fitting.slice_stream import Batch, SliceStream
from brain_tumor_training.recipes.settings import Phase, TrainingSettings
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND


@dataclass(frozen=True)
class Pools:
    """The slices of one sampling: those to learn from, and those that steer (None without validation)."""

    training: SlicePool
    validation: SlicePool | None


LoadPools = Callable[[int], Pools]
"""The slices sampled at the given number of pixels."""


@dataclass(frozen=True)
class BatchSource:
    """Makes batches (image, mask) as the network sees them, on the device.

    image: float32 [B, C, H, W] with background -1. mask: float32 [B, 1, H, W] of 0 and 1.
    """

    settings: TrainingSettings
    device: torch.device

    def of_phase(
        self, pool: SlicePool, number: int, share: BatchShare, workers: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """This process's share of a phase. workers: processes that load data; 0 loads in this one."""
        return self._batches(pool, self.settings.phases[number], self.settings.seed + number, share, workers)

    def for_statistics(self, pool: SlicePool) -> Iterator[torch.Tensor]:
        """Images such as the last phase showed, but others; all in this process."""
        phases = self.settings.phases
        share = BatchShare(STATISTICS_BATCHES, self.settings.batch_size, 0, Processes())
        for image, _ in self._batches(pool, phases[-1], self.settings.seed + len(phases), share, workers=0):
            yield image

    def _batches(
        self, pool: SlicePool, phase: Phase, seed: int, share: BatchShare, workers: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        loader = DataLoader(
            SliceStream(pool, self.settings, phase.size_px, share.samples, seed, phase.crop_px),
            batch_sampler=share,
            num_workers=workers,
            prefetch_factor=6 if workers else None,
            collate_fn=Batch.of,
        )
        for batch in loader:
            image, mask = batch.image.to(self.device), batch.mask.to(self.device)
            image, mask = change(image, mask, batch.changes, phase.crop_px or phase.size_px)
            yield image + BACKGROUND, mask
