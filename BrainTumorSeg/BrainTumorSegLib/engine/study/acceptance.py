"""What a volume must be before anything is computed from it, and what is repaired with a warning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.memory import require_memory
from BrainTumorSegLib.engine.study.geometry import Geometry

MINIMUM_SLICES = 3
MINIMUM_IN_PLANE = 16
MAXIMUM_VOXELS = 600_000_000
SPACING_RANGE_MM = (0.05, 30.0)
THICK_SLICE_MM = 2.5
FARTHEST_AXIAL_MM = 8.0
"""Between axial slices: training data have 5 to 5.5 mm, and 6 mm is the farthest that was measured."""
# Headers written with four digits are still directions; a shear that ITK would drop silently is not.
ORTHONORMAL_TOLERANCE = 1e-3

_COMPLEX_TYPES = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)


def check_grid(title: str, geometry: Geometry) -> None:
    """Refuses a grid on which no head can lie.

    title: how the message calls the sequence. Raises InputError for too few or too many voxels, GeometryError for a
    spacing out of range or axes that are not perpendicular unit vectors.
    """
    check_size(title, geometry.size_ijk)
    low, high = SPACING_RANGE_MM
    if not all(low <= spacing <= high for spacing in geometry.spacing_mm):
        raise GeometryError(
            f"{title} has a voxel spacing of {_by(geometry.spacing_mm)} mm, but {low} to {high} mm is possible.",
            "Correct the spacing in the file's header, or convert the original DICOM series again.",
        )
    direction = np.reshape(geometry.direction_lps, (3, 3))
    if not (np.isfinite(geometry.origin_lps).all() and np.isfinite(direction).all()):
        raise GeometryError(
            f"{title} lies nowhere: its header gives {_by(geometry.origin_lps)} as the place of the first voxel.",
            "Correct the file's header, or convert the original DICOM series again.",
        )
    deviation = float(np.abs(direction.T @ direction - np.eye(3)).max())
    if deviation > ORTHONORMAL_TOLERANCE:
        raise GeometryError(
            f"{title}'s axes are not perpendicular (off by {deviation:.3g}; up to {ORTHONORMAL_TOLERANCE} is allowed).",
            "Resample it to a rectangular grid, or convert the original DICOM series again.",
        )


def check_size(title: str, size: tuple[int, ...]) -> None:
    """Raises InputError for a picture instead of a volume, and for too few or too many voxels of one frame.

    Raises MemoryExhaustedError for more voxels than this computer has memory for, were it the study's only sequence.
    """
    if len(size) < 3:
        raise InputError(
            f"{title} is a single picture of {_by(size)} pixels, but a volume is needed.", "Choose the whole series."
        )
    size = size[:3]
    fewest, middle, _ = sorted(size)
    if fewest < MINIMUM_SLICES or middle < MINIMUM_IN_PLANE:
        raise InputError(
            f"{title} has {_by(size)} voxels, but at least {MINIMUM_SLICES} slices of "
            f"{MINIMUM_IN_PLANE} x {MINIMUM_IN_PLANE} are needed.",
            "Choose the whole series, not a localiser or a single slice.",
        )
    if int(np.prod(size, dtype=np.int64)) > MAXIMUM_VOXELS:
        raise InputError(
            f"{title} has {_by(size)} voxels, more than the {MAXIMUM_VOXELS // 1_000_000} million that are supported.",
            "Crop or downsample it first.",
        )
    require_memory(title, size, 1)


def check_pixels(title: str, components: int, pixel_type: int) -> None:
    """Raises InputError for colour, vector and complex voxels."""
    if pixel_type in _COMPLEX_TYPES:
        raise complex_voxels(title)
    check_grey(title, components)


def complex_voxels(title: str) -> InputError:
    """The refusal of voxels with a real and an imaginary part."""
    return InputError(f"{title} has complex voxels.", "Choose the magnitude image.")


def check_grey(title: str, components: int) -> None:
    """Raises InputError for several values per voxel."""
    if components != 1:
        raise InputError(
            f"{title} has {components} values per voxel (colour or vector), but one grey value is needed.",
            "Choose the original MR series, not a colour map or a screenshot.",
        )


def finite_voxels(title: str, array: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """The array with every voxel finite, and the warnings for the user.

    array: float32 [K, J, I]; NaN and infinite voxels become the smallest finite value (MR background). Returns the
    same array where there are none. Raises InputError if no voxel is finite or all have one value.
    """
    low, high = float(array.min()), float(array.max())
    if np.isfinite((low, high)).all():
        finite, bad = None, 0
    else:
        finite = np.isfinite(array)
        bad = int(array.size - np.count_nonzero(finite))
        low, high = float(array.min(where=finite, initial=np.inf)), float(array.max(where=finite, initial=-np.inf))
    if bad == array.size:
        raise InputError(f"{title} holds no number: every voxel is NaN or infinite.", "Export the series again.")
    if low == high:
        raise InputError(
            f"{title} is empty: every voxel has the value {low:g}.", "Choose another series or export it again."
        )
    if finite is None:
        return array, ()
    warning = f"{title}: {bad} voxels were not finite numbers and were set to the lowest value, {low:g}."
    return np.where(finite, array, np.float32(low)), (warning,)


def thick_slice_warnings(title: str, geometry: Geometry) -> tuple[str, ...]:
    """A warning where slices thicker than THICK_SLICE_MM do not lie axially: axial slices are blurred then. And one
    where axial slices lie farther apart than FARTHEST_AXIAL_MM.
    """
    axis = int(np.argmax(geometry.spacing_mm))
    world_axis = int(np.argmax(np.abs(np.reshape(geometry.direction_lps, (3, 3))[:, axis])))
    spacing = geometry.spacing_mm[axis]
    if world_axis == 2 and spacing > FARTHEST_AXIAL_MM:
        return (
            f"{title}'s slices are {spacing:.1f} mm apart, farther than any that the model was measured on. A small "
            "tumour can lie between two of them; if slices are missing, export the whole series again.",
        )
    if spacing <= THICK_SLICE_MM or world_axis == 2:
        return ()
    plane = ("sagittal", "coronal")[world_axis]
    return (
        f"{title} is a {plane} stack with {spacing:.1f} mm between slices. Axial slices made from it are blurred, "
        "so the outline is less certain; an axial or a thin-slice 3D acquisition is better.",
    )


def _by(values: tuple[int, ...] | tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
