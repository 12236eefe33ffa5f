"""The slices of a pool in the memory of the device that learns from them, and batches cut from them there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from brain_tumor_training.data.sending import sent
from brain_tumor_training.data.slices import SlicePool
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND

logger = logging.getLogger(__name__)

_LARGEST_SHARE = 0.5
"""Of a GPU's free memory that slices may take. The rest is the network's: its activations come after them."""


@dataclass(frozen=True)
class SliceCut:
    """What to cut for one sample.

    patient: index in the pool. position: the slice of its mask. planes: those of its images, see planes_of. rows,
    columns: of the slice, within it.
    """

    patient: int
    position: int
    planes: Sequence[tuple[int, int, int]]
    rows: slice
    columns: slice


@dataclass(frozen=True)
class ResidentSlices:
    """Images and masks of the patients of a pool, by the patient's index in it.

    images: float16 [2, 3, S, H, W]. masks: bool [S, H, W]; both as in CachedPatient. device: where batches are
    wanted; the slices lie there too, or else in the computer's own memory.
    """

    images: Mapping[int, torch.Tensor]
    masks: Mapping[int, torch.Tensor]
    device: torch.device

    @classmethod
    def of(cls, pool: SlicePool, device: torch.device) -> ResidentSlices:
        """Those of the patients of whom the pool has slices, where there is room for them; see ``home_of``.

        In the computer's own memory nothing is copied: what is mapped from a file is read when it is cut.
        """
        used = sorted({patient for patient, _ in pool.slices})
        images = {index: torch.from_numpy(pool.patients[index].variants) for index in used}
        masks = {index: torch.from_numpy(pool.patients[index].mask) for index in used}
        home = home_of(sum(one.nbytes for one in (*images.values(), *masks.values())), device)
        return cls(_moved(images, home), _moved(masks, home), device)

    def cut(self, cuts: Iterable[SliceCut], side_px: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch: images float32 [B, C, h, w], background 0, and masks float32 [B, 1, h, w] of 0 and 1.

        side_px: of squares; a slice that is smaller gets a border of 0 around it. All cuts have one size.
        """
        cuts = list(cuts)
        planes = [self.images[one.patient][plane][one.rows, one.columns] for one in cuts for plane in one.planes]
        # One kernel each for the whole batch; numbers grow to 32 bits only where they are needed.
        image = sent(torch.stack(planes).unflatten(0, (len(cuts), -1)), self.device)
        masks = [self.masks[one.patient][one.position, one.rows, one.columns] for one in cuts]
        mask = sent(torch.stack(masks)[:, None], self.device)
        return _bordered(image.float() - BACKGROUND, side_px), _bordered(mask.float(), side_px)


def span(middle: int, side_px: int, length_px: int) -> slice:
    """side_px pixels around one, moved inward where they leave an axis of length_px; all of it where it is shorter.

    Moving inward rather than padding: a network that saw black squares at random places would learn those.
    """
    start = max(0, min(middle - side_px // 2, length_px - side_px))
    return slice(start, min(start + side_px, length_px))


def home_of(needed_bytes: int, device: torch.device) -> torch.device:
    """Where slices of this size lie: on a CUDA GPU with room for them, otherwise in the computer's own memory."""
    if device.type != "cuda":
        return torch.device("cpu")
    free_bytes = _free_bytes(device)
    if has_room(needed_bytes, free_bytes):
        logger.info("the slices, %.1f GB, lie on %s", needed_bytes / 1e9, device)
        return device
    logger.warning(
        "The slices take %.1f GB, more than half of the %.1f GB that are free on %s: they stay in the computer's "
        "memory, and every batch is sent from there.",
        needed_bytes / 1e9,
        free_bytes / 1e9,
        device,
    )
    return torch.device("cpu")


def has_room(needed_bytes: int, free_bytes: int) -> bool:
    """Whether slices may lie on a GPU with this much free memory, and a network find room beside them."""
    return needed_bytes <= _LARGEST_SHARE * free_bytes


def _free_bytes(device: torch.device) -> int:
    """What a GPU has free, with what torch holds there and does not use (an earlier phase's slices, say)."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held


def _moved(arrays: Mapping[int, torch.Tensor], home: torch.device) -> dict[int, torch.Tensor]:
    return {index: array.to(home) for index, array in arrays.items()}


def _bordered(batch: torch.Tensor, side_px: int | None) -> torch.Tensor:
    if side_px is None or min(batch.shape[-2:]) >= side_px:
        return batch
    missing = [max(0, side_px - length) for length in batch.shape[-2:]]
    return functional.pad(batch, [edge for one in reversed(missing) for edge in (one // 2, one - one // 2)])
