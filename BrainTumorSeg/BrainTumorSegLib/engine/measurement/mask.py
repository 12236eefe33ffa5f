"""From a probability volume to a mask: threshold, then drop the pieces too small to be a lesion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.slabs import slabs

Mask = npt.NDArray[np.bool_]

NEIGHBOURS_26 = np.ones((3, 3, 3), bool)
"""Voxels that touch by a face, an edge or a corner belong to one lesion."""

# Volumes are counts times a float: a piece of exactly the minimum must not fall to rounding.
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Pieces:
    """The 26-connected pieces of a mask.

    labels: int32, the box alone that holds the mask, 0 outside the pieces and from 1. count: of the pieces. start: the
    index of the box's first voxel in the whole array, one an axis.
    """

    labels: npt.NDArray[np.int32]
    count: int
    start: tuple[int, ...]

    @property
    def box(self) -> tuple[slice, ...]:
        """Where the labels lie in the whole array."""
        return tuple(slice(first, first + size) for first, size in zip(self.start, self.labels.shape, strict=True))


def mask_from_probability(
    probability: npt.NDArray[np.float32], geometry: Geometry, threshold: float, min_volume_ml: float
) -> Mask:
    """Voxels of at least ``threshold`` in 26-connected pieces of at least ``min_volume_ml``.

    probability: float32 [K, J, I], 0-1, on ``geometry``. threshold: 0-1. Returns bool [K, J, I].
    Raises GeometryError if the array does not fit the grid.
    """
    check_shape(probability.shape, geometry)
    mask = probability >= threshold
    pieces = without_small(find_pieces(mask), geometry, min_volume_ml)
    # What was dropped lies in the box that held the whole mask.
    np.greater(pieces.labels, 0, out=mask[pieces.box])
    return mask


def find_pieces(mask: Mask) -> Pieces:
    """The pieces of a mask; none, in a box of one voxel, for an empty one."""
    # Only within the box that holds the mask: a tumour fills a few per cent of a head.
    box = bounding_box(mask) or (slice(0, 1),) * mask.ndim
    return Pieces(*label_components(mask[box]), tuple(part.start for part in box))


def without_small(pieces: Pieces, geometry: Geometry, min_volume_ml: float) -> Pieces:
    """The pieces of at least a volume, in the same box and order; their labels are changed in place."""
    kept = ~is_small(piece_sizes(pieces.labels, pieces.count), geometry, min_volume_ml)
    if kept.all():
        return pieces
    count = int(np.count_nonzero(kept))
    numbers = np.zeros(len(kept) + 1, np.int32)
    numbers[1:][kept] = np.arange(1, count + 1)
    for part in slabs(pieces.labels.shape):
        pieces.labels[part] = numbers[pieces.labels[part]]
    return replace(pieces, count=count)


def is_small(sizes: npt.NDArray[np.intp], geometry: Geometry, min_volume_ml: float) -> Mask:
    """Which of some pieces, by their numbers of voxels [N], are smaller than a lesion has to be."""
    return sizes * geometry.voxel_volume_ml < min_volume_ml * (1 - _RELATIVE_TOLERANCE)


def label_components(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """The 26-connected pieces of a mask [K, J, I]: labels int32 [K, J, I], 0 outside and from 1, and their number."""
    labels, count = scipy.ndimage.label(mask, NEIGHBOURS_26)
    return labels, int(count)


def piece_sizes(labels: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.intp]:
    """Voxels [count] of each piece that ``label_components`` found, the first label first."""
    # Slab by slab: bincount takes eight bytes for each voxel that it counts.
    sizes = np.zeros(count + 1, np.intp)
    for part in slabs(labels.shape):
        sizes += np.bincount(labels[part].ravel(), minlength=count + 1)
    return sizes[1:]


def bounding_box(mask: Mask) -> tuple[slice, ...] | None:
    """The smallest slices, one per axis, that hold every true voxel; None for an empty mask."""
    box = []
    for axis in range(mask.ndim):
        occupied = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if occupied.size == 0:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def check_shape(shape: tuple[int, ...], geometry: Geometry) -> None:
    """Raises GeometryError if an array of this shape does not lie on the grid."""
    if shape != geometry.shape_kji:
        raise DefectError(
            f"An array of shape {shape} (k, j, i) does not fit a grid of {geometry.shape_kji}.",
            "This is a defect; please report it.",
        )
