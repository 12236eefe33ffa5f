"""A result at any threshold, quickly: only the box that can hold tumour at all is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.measurement.lesions import find_lesions
from BrainTumorSegLib.engine.measurement.mask import bounding_box, check_shape, mask_from_probability
from BrainTumorSegLib.engine.measurement.result import Lesion
from BrainTumorSegLib.engine.study.axial import AxialOrder
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
        self._whole, self._lowest = geometry, lowest
        box = bounding_box(probability >= lowest) or (slice(0, 1), slice(0, 1), slice(0, 1))
        self._box = box
        self._probability = np.ascontiguousarray(probability[box])
        self._part = _part_of(geometry, box)

    def outline(self, threshold: float, min_volume_ml: float) -> Outline:
        """Mask, lesions and areas, the same as ``measure`` gives. Raises DefectError below the lowest threshold."""
        mask = self._mask(threshold, min_volume_ml)
        order = AxialOrder.of(self._whole)
        first = self._first_slice(order)
        lesions = find_lesions(mask, self._part)
        areas_mm2 = np.zeros(self._whole.shape_kji[order.axes[0]])
        counts = np.count_nonzero(order.to_axial(mask), axis=(1, 2))
        areas_mm2[first : first + len(counts)] = counts * order.pixel_area_mm2
        k, j, i = (part.start for part in self._box)
        moved = (replace(each, slices=(each.slices[0] + first, each.slices[1] + first)) for each in lesions)
        return Outline(mask, (k, j, i), tuple(moved), tuple(areas_mm2.tolist()))

    def volume_ml(self, threshold: float, min_volume_ml: float) -> float:
        """Volume of the whole mask. Raises DefectError below the lowest threshold."""
        return int(np.count_nonzero(self._mask(threshold, min_volume_ml))) * self._whole.voxel_volume_ml

    def _mask(self, threshold: float, min_volume_ml: float) -> Mask:
        if threshold < self._lowest:
            raise DefectError(
                f"A threshold of {threshold:g} was asked for, but {self._lowest:g} was to be the lowest.",
                "This is a defect; please report it.",
            )
        return mask_from_probability(self._probability, self._part, threshold, min_volume_ml)

    def _first_slice(self, order: AxialOrder) -> int:
        """Axial index of the box's lowest slice."""
        axis = order.axes[0]
        box = self._box[axis]
        return int(self._whole.shape_kji[axis] - box.stop if order.flipped[0] else box.start)


def _part_of(geometry: Geometry, box: tuple[slice, ...]) -> Geometry:
    """The grid of a box of voxels [K, J, I] of a grid."""
    k, j, i = (part.start for part in box)
    depth, rows, columns = (part.stop - part.start for part in box)
    x, y, z = (geometry.affine_lps @ [i, j, k, 1.0])[:3].tolist()
    return replace(geometry, size_ijk=(columns, rows, depth), origin_lps=(x, y, z))
