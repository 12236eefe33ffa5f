"""Correct the slices' logits by a network that sees the whole study at coarse sampling.

A slice network judges every slice by itself. What it can't know is in the other slices: whether a tumour goes on, and
whether a faint patch is worth anything beside the lesion two centimetres above. The refiner sees all of it at once, in
voxels of some 3.6 x 3.6 x 5 mm, and gives what to add to the logits; borders stay the slice network's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from BrainTumorSegLib.engine.inference.preprocessing import coarsen
from BrainTumorSegLib.engine.networks.inputs import SEQUENCES, SIZE_PX
from BrainTumorSegLib.engine.networks.study_refiner import MULTIPLE

COARSE_PX = SIZE_PX // 4
"""Rows and columns of what the refiner sees of a slice."""
LOGIT_LIMIT = 8.0
"""Slice logits are kept within plus and minus this; it is also what a slice has that the gate left out."""
LOGIT_UNIT = 4.0
"""What the refiner's logits are divided by, to be of the size of its images."""

_FLAIR = SEQUENCES.index("flair")
_HEAD_LEVEL = -0.8
_MARGIN = 3

Array = npt.NDArray[np.float32]
Correct = Callable[[Array], Array]
"""The refiner's network on a device: [B, 4, D, H, W] -> [B, 1, D, H, W]."""


@dataclass(frozen=True)
class Box:
    """Rows and columns, at the refiner's sampling, that hold the head; sides are multiples of the network's."""

    rows: slice
    columns: slice

    @classmethod
    def around_head(cls, flair: Array) -> Box:
        """Of FLAIR [D, COARSE_PX, COARSE_PX], -1 (background) to 3."""
        _, rows, columns = np.nonzero(flair > _HEAD_LEVEL)
        return cls(_span(rows, flair.shape[1]), _span(columns, flair.shape[2]))


@dataclass(frozen=True)
class StudyView:
    """What the refiner sees of a study.

    array: float32 [4, D, H, W] within the box: T1, FLAIR, T1c (-1 to 3) and the slices' logits over LOGIT_UNIT, means
    over blocks of 4 x 4 pixels and over slabs of ``neighbour_step`` slices. slices: of the study.
    """

    array: Array
    box: Box
    neighbour_step: int
    slices: int

    @classmethod
    def of(cls, sequences: Array, logits: Array, neighbour_step: int) -> StudyView:
        """sequences: [3, S, 256, 256], see AxialSlices. logits: [S, 256, 256] within the limit."""
        # One after another: together they would be a copy of all that there is of the study.
        planes = [coarsen(one, COARSE_PX) for one in (*sequences, logits)]
        planes[-1] = planes[-1] / np.float32(LOGIT_UNIT)
        coarse = _slabs(np.stack(planes), neighbour_step)
        box = Box.around_head(coarse[_FLAIR])
        return cls(np.ascontiguousarray(coarse[..., box.rows, box.columns]), box, neighbour_step, sequences.shape[1])

    def spread(self, correction: Array) -> Array:
        """A correction [D, H, W] of the box as float32 [S, 256, 256], linear in between, 0 outside the box."""
        depth, height, width = correction.shape
        scale = SIZE_PX // COARSE_PX
        size = (depth * self.neighbour_step, height * scale, width * scale)
        fine = functional.interpolate(
            torch.from_numpy(correction)[None, None], size=size, mode="trilinear", align_corners=False
        )[0, 0, : self.slices]
        spread = np.zeros((self.slices, SIZE_PX, SIZE_PX), np.float32)
        rows, columns = (slice(one.start * scale, one.stop * scale) for one in (self.box.rows, self.box.columns))
        spread[:, rows, columns] = fine.numpy()
        return spread


def refine(correct: Correct, sequences: Array, logits: Array, neighbour_step: int) -> Array:
    """The slices' logits [S, 256, 256], within LOGIT_LIMIT, plus what the refiner says of the study and its mirror
    image, half each. sequences: float32 [3, S, 256, 256], see AxialSlices, as neighbour_step is.
    """
    corrected = limited(logits)
    view = StudyView.of(sequences, corrected, neighbour_step)
    # Both at once: for a single small study PyTorch takes a way that is four times as slow.
    seen, mirrored = correct(np.stack([view.array, view.array[..., ::-1]]))[:, 0]
    mirrored = mirrored[..., ::-1]
    corrected += view.spread(np.ascontiguousarray((seen + mirrored) / 2))
    return corrected


def limited(logits: Array) -> Array:
    """Logits within plus and minus LOGIT_LIMIT."""
    return np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)


def _slabs(planes: Array, neighbour_step: int) -> Array:
    """[C, S, H, W] -> [C, D, H, W]: the mean of each neighbour_step slices, the last slice repeated where some lack."""
    missing = -planes.shape[1] % neighbour_step
    filled = np.pad(planes, ((0, 0), (0, missing), (0, 0), (0, 0)), mode="edge")
    grouped = filled.reshape(planes.shape[0], -1, neighbour_step, *planes.shape[2:])
    return grouped.mean(axis=2, dtype=np.float32)


def _span(found: npt.NDArray[np.intp], side: int) -> slice:
    """The shortest span that holds what was found, with a margin; its length is a multiple of the network's."""
    first, last = (int(found.min()), int(found.max())) if len(found) else (0, side - 1)
    length = min(side, -(-(last - first + _MARGIN) // MULTIPLE) * MULTIPLE)
    start = min(max(0, (first + last + 1) // 2 - length // 2), side - length)
    return slice(start, start + length)
