"""Where voxels lie in the patient: grids in LPS millimetres, and arrays that lie on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import DefectError


@dataclass(frozen=True)
class Geometry:
    """A regular voxel grid, as DICOM and ITK describe it.

    size_ijk: voxels along columns, rows, slices. spacing_mm: their distances along i, j, k. origin_lps: centre of the
    first voxel, mm. direction_lps: 3 x 3 row-major direction cosines; column n is the world direction of axis n.
    """

    size_ijk: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    direction_lps: tuple[float, ...]

    @classmethod
    def of_image(cls, image: sitk.Image) -> Geometry:
        """The grid of a three-dimensional SimpleITK image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, slices first."""
        i, j, k = self.size_ijk
        return (k, j, i)

    @property
    def affine_lps(self) -> npt.NDArray[np.float64]:
        """4 x 4 matrix from voxel indices (i, j, k, 1) to LPS millimetres."""
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(self.direction_lps, (3, 3)) * np.asarray(self.spacing_mm)
        affine[:3, 3] = self.origin_lps
        return affine

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres (1 mL = 1000 mm3)."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def moved(self, matrix_lps: npt.NDArray[np.float64]) -> Geometry:
        """The grid after a rigid motion, a 4 x 4 matrix from LPS to LPS, mm."""
        affine = matrix_lps @ self.affine_lps
        direction = affine[:3, :3] / np.asarray(self.spacing_mm)
        x, y, z = affine[:3, 3].tolist()
        return Geometry(self.size_ijk, self.spacing_mm, (x, y, z), tuple(direction.ravel().tolist()))

    def is_close_to(self, other: Geometry, tolerance: float = 1e-6) -> bool:
        """Whether both grids agree in size and, to the absolute tolerance, in spacing, origin and direction."""
        return self.size_ijk == other.size_ijk and all(
            np.allclose(mine, theirs, rtol=0, atol=tolerance)
            for mine, theirs in (
                (self.spacing_mm, other.spacing_mm),
                (self.origin_lps, other.origin_lps),
                (self.direction_lps, other.direction_lps),
            )
        )


@dataclass(frozen=True)
class Volume:
    """An array [K, J, I] and the grid on which it lies."""

    array: npt.NDArray[np.generic]
    geometry: Geometry

    def __post_init__(self) -> None:
        """Raises GeometryError if array and grid differ in shape."""
        if self.array.shape != self.geometry.shape_kji:
            raise DefectError(
                f"An array of shape {self.array.shape} (k, j, i) does not fit a grid of {self.geometry.shape_kji}.",
                "This is a defect; please report it.",
            )

    @classmethod
    def of_image(cls, image: sitk.Image) -> Volume:
        """The voxels (copied) and the grid of a three-dimensional scalar SimpleITK image."""
        return cls(sitk.GetArrayFromImage(image), Geometry.of_image(image))

    def to_image(self) -> sitk.Image:
        """The same volume as a SimpleITK image; masks become uint8."""
        array = self.array.view(np.uint8) if self.array.dtype == np.bool_ else self.array
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.geometry.spacing_mm)
        image.SetOrigin(self.geometry.origin_lps)
        image.SetDirection(self.geometry.direction_lps)
        return image


def voxels_of(image: sitk.Image) -> npt.NDArray[Any]:
    """An image's voxels [K, J, I] without a copy, read-only; the image is kept for as long as they are."""
    return np.asarray(_Voxels(image))


class _Voxels:
    """Owner of an image's memory, as NumPy's array interface wants one: SimpleITK's view does not keep its image."""

    def __init__(self, image: sitk.Image) -> None:
        self._image = image
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__
