"""Other sequences on FLAIR's grid, and how much of FLAIR's head they cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.slabs import slabs

# Enough points for a covered fraction to within a tenth of a percent.
_COVERAGE_POINTS = 200_000


def resample_to_grid(image: sitk.Image, grid: sitk.Image, transform: sitk.Transform | None = None) -> sitk.Image:
    """The image on another image's grid, linearly interpolated; outside its field of view its own minimum.

    transform: maps points of the grid's space to points of the image's (LPS, mm); None is the identity, and an image
    that lies on the very grid already (to 1e-6) is then returned untouched.
    """
    if transform is None and Geometry.of_image(image).is_close_to(Geometry.of_image(grid)):
        return image
    outside = float(sitk.GetArrayViewFromImage(image).min())
    return sitk.Resample(image, grid, transform or sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, outside)


def head_foreground(array: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Voxels brighter than the volume's mean, bool [K, J, I]: head without air, bone and fluid.

    Background fills most of an MR volume, so that its mean lies well below tissue, whatever the unit or offset.
    """
    return array > array.mean(dtype=np.float64)


def covered_fraction(flair: sitk.Image, other: Geometry, transform: sitk.Transform | None = None) -> float:
    """Which part (0-1) of FLAIR's head foreground lies inside the other volume's field of view.

    transform: maps FLAIR's points to the other's (LPS, mm), must be linear; None is the identity.
    """
    geometry = Geometry.of_image(flair)
    if transform is None and other.is_close_to(geometry):
        return 1.0
    chosen = _some_of(head_foreground(sitk.GetArrayViewFromImage(flair)), _COVERAGE_POINTS)
    kji = np.unravel_index(chosen, geometry.shape_kji)
    points_ijk1 = np.stack([*kji[::-1], np.ones(chosen.size)])
    to_other = np.linalg.inv(other.affine_lps) @ affine_of(transform) @ geometry.affine_lps
    indices = (to_other @ points_ijk1)[:3]
    limits = np.reshape(other.size_ijk, (3, 1)) - 0.5
    # A hair of tolerance: on equal grids the voxels at the border count as inside.
    return float(np.all((indices > -0.5 - 1e-6) & (indices < limits + 1e-6), axis=0).mean())


def _some_of(mask: npt.NDArray[np.bool_], wanted: int) -> npt.NDArray[np.intp]:
    """Flat indices of about ``wanted`` voxels of a mask, evenly through it; of all where there are fewer."""
    flat = mask.ravel()
    step = max(1, int(np.count_nonzero(flat)) // wanted)
    chosen, passed = [], 0
    for part in slabs(flat.shape):
        found = np.flatnonzero(flat[part])
        chosen.append(part.start + found[-passed % step :: step])
        passed += len(found)
    return np.concatenate(chosen)


def affine_of(transform: sitk.Transform | None) -> npt.NDArray[np.float64]:
    """A linear transform as a 4 x 4 matrix, from where it takes the origin and the unit vectors; None: identity."""
    matrix = np.eye(4)
    if transform is not None:
        matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
        matrix[:3, :3] = np.transpose([transform.TransformPoint(tuple(unit)) for unit in np.eye(3)]) - matrix[:3, 3:]
    return matrix
