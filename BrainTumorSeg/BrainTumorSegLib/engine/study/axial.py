"""Axial slices of a grid, whatever its acquisition: which array axis they lie across, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.study.geometry import Geometry

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class AxialOrder:
    """How an array [K, J, I] becomes [slice, row, column].

    Slice 0 is the most inferior, row 0 anterior, column 0 the patient's right.
    axes: the array axes that become slice, row and column; the slice axis is the one closest to the patient's superior
    axis, so that an oblique stack keeps its own slices. flipped: which of the three run backwards in the array.
    spacing_mm: distances between slices, rows and columns.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, geometry: Geometry) -> AxialOrder:
        """The order for arrays on a grid, found from its direction cosines.

        >>> sagittal = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (0, 0, 1, 1, 0, 0, 0, -1, 0))
        >>> AxialOrder.of(sagittal)
        AxialOrder(axes=(1, 2, 0), flipped=(True, False, False), spacing_mm=(2.0, 1.0, 3.0))
        """
        direction = np.reshape(geometry.direction_lps, (3, 3))
        x, y, z = _closest_axes(np.abs(direction))
        return cls(
            axes=(2 - z, 2 - y, 2 - x),
            flipped=(bool(direction[2, z] < 0), bool(direction[1, y] < 0), bool(direction[0, x] < 0)),
            spacing_mm=(geometry.spacing_mm[z], geometry.spacing_mm[y], geometry.spacing_mm[x]),
        )

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel of an axial slice."""
        return self.spacing_mm[1] * self.spacing_mm[2]

    def to_axial(self, array: Array) -> Array:
        """A view [slice, row, column] of an array [K, J, I]; its strides may be negative."""
        return np.flip(np.transpose(array, self.axes), self._flipped_axes)

    def from_axial(self, array: Array) -> Array:
        """A view [K, J, I] of an array [slice, row, column]: the exact inverse of ``to_axial``."""
        return np.transpose(np.flip(array, self._flipped_axes), np.argsort(self.axes))

    @property
    def _flipped_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, flipped in enumerate(self.flipped) if flipped)


def axial_geometry(geometry: Geometry) -> Geometry:
    """The same voxels as ``AxialOrder.to_axial`` orders them, as a grid: its k, j, i are slice, row, column."""
    order = AxialOrder.of(geometry)
    affine = geometry.affine_lps
    first_kji = [
        geometry.shape_kji[axis] - 1 if flipped else 0 for axis, flipped in zip(order.axes, order.flipped, strict=True)
    ]
    first_ijk = np.ones(4)
    columns = []
    for axis, flipped, first in zip(order.axes, order.flipped, first_kji, strict=True):
        first_ijk[2 - axis] = first
        columns.append(np.reshape(geometry.direction_lps, (3, 3))[:, 2 - axis] * (-1 if flipped else 1))
    size = tuple(geometry.shape_kji[axis] for axis in order.axes)
    return Geometry(
        size_ijk=(size[2], size[1], size[0]),
        spacing_mm=(order.spacing_mm[2], order.spacing_mm[1], order.spacing_mm[0]),
        origin_lps=_three(affine @ first_ijk),
        direction_lps=tuple(float(cosine) for cosine in np.column_stack(columns[::-1]).ravel()),
    )


def slice_positions_mm(geometry: Geometry) -> npt.NDArray[np.float64]:
    """Where the centre of every axial slice lies along the patient's superior axis, mm, float64 [S], rising."""
    axial = axial_geometry(geometry)
    columns, rows, slices = axial.size_ijk
    z_row = axial.affine_lps[2]
    middle = z_row[0] * (columns - 1) / 2 + z_row[1] * (rows - 1) / 2 + z_row[3]
    return middle + z_row[2] * np.arange(slices)


def _closest_axes(along: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    """Which of the array axes i, j, k runs along the patient's x, y and z; along: [world, array] absolute cosines.

    The superior axis chooses first, then the other two so that both fit best together.
    """
    z = int(np.argmax(along[2]))
    first, second = (axis for axis in range(3) if axis != z)
    straight = along[0, first] + along[1, second] >= along[0, second] + along[1, first]
    return (first, second, z) if straight else (second, first, z)


def _three(point: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return (float(point[0]), float(point[1]), float(point[2]))
