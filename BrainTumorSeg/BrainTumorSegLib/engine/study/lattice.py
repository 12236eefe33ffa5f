"""The same voxels on another grid: other order of the axes, other directions, or a part of it. Nothing is resampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import GeometryError
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume

# Rounded headers and DICOM's slice positions may differ by so much; half a voxel would be another voxel.
_TOLERANCE_VOXELS = 0.1


def place_on(volume: Volume, geometry: Geometry) -> npt.NDArray[Any]:
    """The voxels of ``volume`` where they lie on ``geometry``: its type, [K, J, I], 0 where the volume has no voxel.

    The two grids may differ in the order and the direction of their axes and in their extent, as files of one series do
    that different programs wrote. Raises GeometryError unless every voxel centre of the volume falls on one of the grid
    (within a tenth of a voxel), and for values other than 0 outside the grid.
    """
    steps, offset = _whole_steps(volume.geometry, geometry)
    axes = np.abs(steps).argmax(axis=1)  # of the grid's i, j, k: which of the volume's it is
    forwards = steps[np.arange(3), axes] > 0
    array = np.transpose(volume.array, [2 - int(axis) for axis in axes[::-1]])
    array = np.flip(array, tuple(2 - n for n in range(3) if not forwards[n]))
    sizes = np.array(array.shape[::-1])
    start_ijk = offset - np.where(forwards, 0, sizes - 1)
    placed = np.zeros(geometry.shape_kji, volume.array.dtype)
    into, out_of = [], []
    for start, size, room in zip(start_ijk[::-1], sizes[::-1], geometry.shape_kji, strict=True):
        first, last = max(0, int(start)), min(room, int(start + size))
        into.append(slice(first, max(first, last)))
        out_of.append(slice(first - int(start), max(first, last) - int(start)))
    placed[tuple(into)] = array[tuple(out_of)]
    lost = int(np.count_nonzero(volume.array)) - int(np.count_nonzero(placed))
    if lost:
        raise GeometryError(
            f"{lost} labelled voxels lie outside the images' field of view.",
            "Choose the series on which the segmentation was made.",
        )
    return placed


def _whole_steps(of: Geometry, to: Geometry) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """From voxel indices (i, j, k) of one grid to those of the other: matrix [3, 3] of 0, 1 and -1, and offset [3]."""
    matrix = np.linalg.inv(to.affine_lps) @ of.affine_lps
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [
        *(np.array(of.size_ijk) - 1),
        1,
    ]
    whole = np.rint(matrix).astype(np.int64)
    away = np.abs(corners @ (matrix - whole).T)[:, :3].max()
    steps = whole[:3, :3]
    one_each = (np.abs(steps).sum(axis=0) == 1).all() and (np.abs(steps).sum(axis=1) == 1).all()
    if not one_each or away > _TOLERANCE_VOXELS:
        raise GeometryError(
            f"The voxels of the segmentation, {_words(of)}, are not those of the images, {_words(to)}.",
            "Choose the series on which the segmentation was made, or resample the segmentation to it.",
        )
    return steps, whole[:3, 3]


def _words(geometry: Geometry) -> str:
    size = " x ".join(map(str, geometry.size_ijk))
    spacing = " x ".join(f"{length:.3g}" for length in geometry.spacing_mm)
    return f"{size} of {spacing} mm at ({', '.join(f'{part:.1f}' for part in geometry.origin_lps)})"
