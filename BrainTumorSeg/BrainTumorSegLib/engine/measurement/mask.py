"""From a probability volume to a mask: threshold, then drop the pieces too small to be a lesion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.slabs import slabs

Mask = npt.NDArray[np.bool_]

# Voxels that touch by a face, an edge or a corner belong to one lesion.
_NEIGHBOURS_26 = np.ones((3, 3, 3), bool)
# Volumes are counts times a float: a piece of exactly the minimum must not fall to rounding.
_RELATIVE_TOLERANCE = 1e-9


def mask_from_probability(
    probability: npt.NDArray[np.float32], geometry: Geometry, threshold: float, min_volume_ml: float
) -> Mask:
    """Voxels of at least ``threshold`` in 26-connected pieces of at least ``min_volume_ml``.

    probability: float32 [K, J, I], 0-1, on ``geometry``. threshold: 0-1. Returns bool [K, J, I].
    Raises GeometryError if the array does not fit the grid.
    """
    check_shape(probability.shape, geometry)
    mask = probability >= threshold
    box = bounding_box(mask)
    if box is None:
        return mask
    # Only within the box that holds the mask: a tumour fills a few per cent of a head.
    inside = mask[box]
    labels, count = label_components(inside)
    kept = piece_sizes(labels, count) * geometry.voxel_volume_ml >= min_volume_ml * (1 - _RELATIVE_TOLERANCE)
    kept = np.concatenate(([False], kept))
    for part in slabs(labels.shape):
        inside[part] = kept[labels[part]]
    return mask


def label_components(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """The 26-connected pieces of a mask [K, J, I]: labels int32 [K, J, I], 0 outside and from 1, and their number."""
    labels, count = scipy.ndimage.label(mask, _NEIGHBOURS_26)
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
