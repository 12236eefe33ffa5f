"""How far two labelmaps agree: a reader's and the engine's, or one person's at two times (registered to each other)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError
from BrainTumorSegLib.engine.measurement.agreement import Comparison
from BrainTumorSegLib.engine.measurement.mask import bounding_box
from BrainTumorSegLib.engine.study.geometry import Volume

Mask = npt.NDArray[np.bool_]

# Surface voxels have a neighbour outside by a face.
_FACES = scipy.ndimage.generate_binary_structure(3, 1)


def compare(first: Volume, second: Volume) -> Comparison:
    """Compare two masks, bool [K, J, I], each on its own grid; the second is brought to the first's by nearest voxels.

    Raises GeometryError where the grids have no place in common.
    """
    a, b = first.array.astype(bool), _on_grid_of(first, second)
    voxel_ml = first.geometry.voxel_volume_ml
    both, only_a, only_b = (int(np.count_nonzero(part)) for part in (a & b, a & ~b, b & ~a))
    first_ml = float(np.count_nonzero(a)) * voxel_ml
    second_ml = float(np.count_nonzero(second.array)) * second.geometry.voxel_volume_ml
    total = 2 * both + only_a + only_b
    return Comparison(
        dice=2.0 * both / total if total else 1.0,
        hd95_mm=_hausdorff_95(a, b, first.geometry.spacing_mm[::-1]),
        first_ml=first_ml,
        second_ml=second_ml,
        change_ml=second_ml - first_ml,
        change_percent=100.0 * (second_ml - first_ml) / first_ml if first_ml else None,
        both_ml=both * voxel_ml,
        only_first_ml=only_a * voxel_ml,
        only_second_ml=only_b * voxel_ml,
        outside_ml=_outside_ml(first, second),
    )


def _on_grid_of(first: Volume, second: Volume) -> Mask:
    """The second mask on the first one's grid."""
    grid, moving = Volume(first.array.astype(bool), first.geometry), Volume(second.array.astype(bool), second.geometry)
    if moving.geometry.is_close_to(grid.geometry):
        return np.asarray(moving.array, bool)
    if not _inside(first, _corners_and_centre(second)).any() and not _inside(second, _corners_and_centre(first)).any():
        raise GeometryError(
            "The two labelmaps have no place in common: by their headers they lie apart.",
            "Compare labelmaps of one examination, or register one to the other first.",
        )
    image = sitk.Resample(
        moving.to_image(), grid.to_image(), sitk.Transform(3, sitk.sitkIdentity), sitk.sitkNearestNeighbor
    )
    return sitk.GetArrayFromImage(image) > 0


def _outside_ml(first: Volume, second: Volume) -> float:
    """Volume of the second mask outside the first one's field of view."""
    voxels = np.argwhere(second.array)[:, ::-1]
    points = voxels @ second.geometry.affine_lps[:3, :3].T + second.geometry.affine_lps[:3, 3]
    return float(np.count_nonzero(~_inside(first, points))) * second.geometry.voxel_volume_ml


def _inside(volume: Volume, points_lps: npt.NDArray[np.float64]) -> Mask:
    """Which points [N, 3] lie in a voxel of the volume's grid."""
    to_index = np.linalg.inv(volume.geometry.affine_lps)
    indices = points_lps @ to_index[:3, :3].T + to_index[:3, 3]
    inside: Mask = ((indices > -0.5 - 1e-6) & (indices < np.array(volume.geometry.size_ijk) - 0.5 + 1e-6)).all(axis=1)
    return inside


def _corners_and_centre(volume: Volume) -> npt.NDArray[np.float64]:
    """Positions [9, 3] (LPS, mm) of the corner voxels and the middle of a grid."""
    last = np.array(volume.geometry.size_ijk) - 1.0
    steps = np.array([*np.ndindex(2, 2, 2), (0.5, 0.5, 0.5)]) * last
    points: npt.NDArray[np.float64] = steps @ volume.geometry.affine_lps[:3, :3].T + volume.geometry.affine_lps[:3, 3]
    return points


def _hausdorff_95(first: Mask, second: Mask, spacing_mm: tuple[float, ...]) -> float | None:
    """Of masks [K, J, I]; spacing_mm: along k, j, i. The percentile of Huttenlocher et al. 1993."""
    box = bounding_box(first | second)
    if box is None or not first.any() or not second.any():
        return None
    # A margin of one voxel, so that the border of the volume is no border of the mask's surroundings.
    surfaces = [_surface(np.pad(mask[box], 1)) for mask in (first, second)]
    distances = [scipy.ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces]
    ways = (distances[1][surfaces[0]], distances[0][surfaces[1]])
    return float(max(np.percentile(way, 95) for way in ways))


def _surface(mask: Mask) -> Mask:
    surface: Mask = mask & ~scipy.ndimage.binary_erosion(mask, _FACES)
    return surface
