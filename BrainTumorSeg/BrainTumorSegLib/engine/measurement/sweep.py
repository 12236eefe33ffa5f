"""A result at any threshold, quickly: only the box that can hold tumour at all is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.measurement.lesions import lesions_of
from BrainTumorSegLib.engine.measurement.mask import Pieces, bounding_box, check_shape, find_pieces, without_small
from BrainTumorSegLib.engine.measurement.result import Lesion
from BrainTumorSegLib.engine.study.axial import AxialOrder, axial_geometry
from BrainTumorSegLib.engine.study.geometry import Geometry

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outline:
    """What one threshold gives.

    mask: bool [K, J, I], the box alone; start_kji: where its first voxel lies in the whole volume. lesions and
    areas_mm2: of the whole study, as in ``Result``; one area an axial slice, inferior first.
    """

    mask: Mask
    start_kji: tuple[int, int, int]
    lesions: tuple[Lesion, ...]
    areas_mm2: tuple[float, ...]


class ThresholdSweep:
    """Thresholds a probability volume, float32 [K, J, I], 0-1, again and again.

    lowest: the lowest threshold that will be asked for. Raises DefectError if the array does not fit the grid.
    """

    def __init__(self, probability: npt.NDArray[np.float32], geometry: Geometry, lowest: float) -> None:
        check_shape(probability.shape, geometry)
        self._order, self._lowest = AxialOrder.of(geometry), lowest
        axial = self._order.to_axial(probability)
        self._slices = len(axial)
        self._box = bounding_box(axial >= lowest) or (slice(0, 1), slice(0, 1), slice(0, 1))
        self._start_kji = _start_kji(self._order, self._box, axial.shape)
        self._probability = np.ascontiguousarray(axial[self._box])
        self._grid = _part_of(axial_geometry(geometry), self._box)

    def outline(self, threshold: float, min_volume_ml: float) -> Outline:
        """Mask, lesions and areas, the same as ``measure`` gives. Raises DefectError below the lowest threshold."""
        pieces = self._pieces(threshold, min_volume_ml)
        mask = np.zeros(self._probability.shape, np.bool_)
        mask[pieces.box] = pieces.labels > 0
        first = self._box[0].start
        lesions = lesions_of(pieces, self._grid)
        moved = (replace(each, slices=(each.slices[0] + first, each.slices[1] + first)) for each in lesions)
        areas_mm2 = np.zeros(self._slices)
        areas_mm2[self._box[0]] = np.count_nonzero(mask, axis=(1, 2)) * self._order.pixel_area_mm2
        return Outline(self._order.from_axial(mask), self._start_kji, tuple(moved), tuple(areas_mm2.tolist()))

    def volume_ml(self, threshold: float, min_volume_ml: float) -> float:
        """Volume of the whole mask. Raises DefectError below the lowest threshold."""
        labels = self._pieces(threshold, min_volume_ml).labels
        return int(np.count_nonzero(labels)) * self._grid.voxel_volume_ml

    def _pieces(self, threshold: float, min_volume_ml: float) -> Pieces:
        """[slice, row, column] within the box."""
        if threshold < self._lowest:
            raise DefectError(
                f"A threshold of {threshold:g} was asked for, but {self._lowest:g} was to be the lowest.",
                "This is a defect; please report it.",
            )
        return without_small(find_pieces(self._probability >= threshold), self._grid, min_volume_ml)


def _start_kji(order: AxialOrder, box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Where a box of an axial array [slice, row, column] of this shape begins in the array [K, J, I]."""
    start = [0, 0, 0]
    for axis, flipped, side, size in zip(order.axes, order.flipped, box, shape, strict=True):
        start[axis] = size - side.stop if flipped else side.start
    return (start[0], start[1], start[2])


def _part_of(geometry: Geometry, box: tuple[slice, ...]) -> Geometry:
    """The grid of a box of voxels [K, J, I] of a grid."""
    k, j, i = (part.start for part in box)
    depth, rows, columns = (part.stop - part.start for part in box)
    x, y, z = (geometry.affine_lps @ [i, j, k, 1.0])[:3].tolist()
    return replace(geometry, size_ijk=(columns, rows, depth), origin_lps=(x, y, z))
