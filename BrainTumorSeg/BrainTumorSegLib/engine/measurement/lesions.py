"""What is measured on a mask: its lesions, and its axial slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from BrainTumorSegLib.engine.measurement.diameters import TIE_MM, longest_diameter, perpendicular_diameters
from BrainTumorSegLib.engine.measurement.mask import (
    Pieces,
    bounding_box,
    check_shape,
    find_pieces,
    label_components,
    piece_sizes,
)
from BrainTumorSegLib.engine.measurement.result import Lesion
from BrainTumorSegLib.engine.study.axial import AxialOrder, axial_geometry, slice_positions_mm
from BrainTumorSegLib.engine.study.geometry import Geometry

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

UNCERTAINTY_FLOOR = 0.05
"""Voxels of a lower tumour probability are background and would only dilute a slice's mean uncertainty."""

DOUBT_REACH_MM = 3.0
"""Farther from the outline many small probabilities add up to more than the outline's own doubt, unless they are
calibrated well."""

_NEIGHBOURS_8_IN_SLICE = np.zeros((3, 3, 3), bool)
_NEIGHBOURS_8_IN_SLICE[1] = True

_ANGLES = np.arange(16) * np.pi / 16
_DIRECTIONS = np.array([np.cos(_ANGLES), np.sin(_ANGLES)])
_LEAST_SHARE_SEEN = np.cos(np.pi / 32)
"""How much of a diameter is seen at least along one of the _DIRECTIONS: the nearest is half a step away at most."""


@dataclass(frozen=True)
class SliceMeasure:
    """One axial slice, inferior first; the fields mean the same as in ``result.SliceScore``, and two more.

    doubtful_area_mm2: area that is expected to be wrong in the mask and within DOUBT_REACH_MM of it in its slice, by
    the probability itself: the sum over pixels of the smaller of probability and 1 - probability. reaches_edge: whether
    the mask touches the border of the volume in this slice.
    """

    position_mm: float
    area_mm2: float
    mean_uncertainty: float
    doubtful_area_mm2: float
    reaches_edge: bool


def find_lesions(mask: Mask, geometry: Geometry) -> tuple[Lesion, ...]:
    """The 26-connected pieces of a mask, bool [K, J, I] on ``geometry``: largest first, equal ones inferior first.

    All lengths are between voxel centres, so a lesion of one voxel has diameters of 0 mm.
    Raises GeometryError if the mask does not fit the grid.
    """
    check_shape(mask.shape, geometry)
    return lesions_of(find_pieces(AxialOrder.of(geometry).to_axial(mask)), axial_geometry(geometry))


def lesions_of(pieces: Pieces, grid: Geometry) -> tuple[Lesion, ...]:
    """What ``find_lesions`` says of pieces that are known: [slice, row, column] on an axial grid, inferior first."""
    boxes = scipy.ndimage.find_objects(pieces.labels, pieces.count)
    starts = [np.add(pieces.start, [part.start for part in box]) for box in boxes]
    return tuple(
        _measure(rank + 1, pieces.labels[boxes[n]] == n + 1, starts[n], grid)
        for rank, n in enumerate(_largest_first(pieces.labels, pieces.count))
    )


def lesion_ids(mask: Mask, geometry: Geometry) -> npt.NDArray[np.int32]:
    """Which lesion each voxel belongs to, int32 [K, J, I]: the id that ``find_lesions`` gives it, 0 outside.

    Raises GeometryError if the mask, bool [K, J, I], does not fit the grid.
    """
    check_shape(mask.shape, geometry)
    order = AxialOrder.of(geometry)
    labels, count = label_components(order.to_axial(mask))
    ids = np.zeros(count + 1, np.int32)
    ids[_largest_first(labels, count) + 1] = np.arange(1, count + 1)
    return order.from_axial(ids[labels])


def _largest_first(labels: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.intp]:
    """Numbers of the pieces from 0, the largest first, equal ones in their order from inferior to superior."""
    sizes = piece_sizes(labels, count)
    return np.argsort(-sizes, kind="stable")


def slice_measures(mask: Mask, probability: npt.NDArray[np.float32], geometry: Geometry) -> tuple[SliceMeasure, ...]:
    """Position, mask area and doubts of every axial slice, inferior first.

    mask: bool [K, J, I]; probability: float32 [K, J, I], 0-1, both on ``geometry``. The uncertainty is the mean binary
    entropy, in bits, of the slice's voxels of probability over UNCERTAINTY_FLOOR; 0 where there are none.
    Raises GeometryError if an array does not fit the grid.
    """
    check_shape(mask.shape, geometry)
    check_shape(probability.shape, geometry)
    order = AxialOrder.of(geometry)
    axial = order.to_axial(mask)
    planes = zip(slice_positions_mm(geometry), axial, order.to_axial(probability), _at_edge(axial), strict=True)
    return tuple(
        SliceMeasure(
            float(place),
            np.count_nonzero(inside) * order.pixel_area_mm2,
            _mean_uncertainty(seen),
            _doubtful_px(inside, seen, order.spacing_mm[1:]) * order.pixel_area_mm2,
            bool(edge),
        )
        for place, inside, seen, edge in planes
    )


def binary_entropy(probability: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Entropy in bits of yes/no outcomes: 1 at a probability of 0.5, 0 at 0 and 1 (Shannon 1948)."""
    p = np.clip(probability.astype(np.float64), 0, 1)
    q = 1 - p
    return -(p * np.log2(p, out=np.zeros_like(p), where=p > 0) + q * np.log2(q, out=np.zeros_like(q), where=q > 0))


def _mean_uncertainty(plane: npt.NDArray[np.float32]) -> float:
    """Mean entropy, bits, of a slice's pixels over UNCERTAINTY_FLOOR; 0 where there are none."""
    values = plane[plane > UNCERTAINTY_FLOOR]
    return float(binary_entropy(values).mean()) if values.size else 0.0


def _doubtful_px(inside: Mask, plane: npt.NDArray[np.float32], pixel_mm: tuple[float, ...]) -> float:
    """How many pixels of a slice are expected wrong in the mask and within DOUBT_REACH_MM of it."""
    box = bounding_box(inside)
    if box is None:
        return 0.0
    margins = [int(np.ceil(DOUBT_REACH_MM / length)) for length in pixel_mm]
    sides = zip(box, margins, strict=True)
    around = tuple(slice(max(0, part.start - margin), part.stop + margin) for part, margin in sides)
    away_mm = scipy.ndimage.distance_transform_edt(~inside[around], sampling=pixel_mm)
    near = plane[around][away_mm <= DOUBT_REACH_MM]
    return float(np.minimum(near, 1 - near).sum(dtype=np.float64))


def _at_edge(axial_mask: Mask) -> npt.NDArray[np.bool_]:
    """Which slices [S] of a mask [S, rows, columns] touch the volume's border; the first and last are a border."""
    sides = (axial_mask[:, 0], axial_mask[:, -1], axial_mask[:, :, 0], axial_mask[:, :, -1])
    touching = np.logical_or.reduce([side.any(axis=1) for side in sides])
    touching[[0, -1]] |= axial_mask[[0, -1]].any(axis=(1, 2))
    return touching


def _measure(number: int, piece: Mask, start: Indices, grid: Geometry) -> Lesion:
    """Measure one piece, bool [slice, row, column], whose first voxel is ``start`` [3] of the axial grid."""
    centre = start + _mean_index(piece)
    x, y, z = (float(part) for part in (grid.affine_lps @ [*centre[::-1], 1.0])[:3])
    ends = _run_ends(piece)
    return Lesion(
        id=number,
        volume_ml=int(np.count_nonzero(piece)) * grid.voxel_volume_ml,
        longest_diameter_mm=longest_diameter(_in_mm(np.argwhere(ends), grid)),
        axial_diameters_mm=_axial_diameters(piece, ends, grid),
        centroid_ras=(-x, -y, z),
        slices=(int(start[0]), int(start[0]) + piece.shape[0] - 1),
    )


def _axial_diameters(piece: Mask, ends: Mask, grid: Geometry) -> tuple[float, float]:
    """The two diameters in the axial slice whose longest is greatest; each part of a slice is measured by itself.

    A horseshoe that a slice cuts twice is two 8-connected parts there: a diameter never spans the brain between them.
    Of equally long ones, that with the longest second diameter counts. ends: see _run_ends.
    """
    labels, _ = scipy.ndimage.label(piece, _NEIGHBOURS_8_IN_SLICE)
    numbers = labels[ends]
    order = np.argsort(numbers, kind="stable")
    points = _in_mm(np.argwhere(ends)[:, 1:][order], grid)
    starts = np.flatnonzero(np.diff(numbers[order], prepend=0))
    widths = _widths(points, starts)
    # Only parts that may hold the longest diameter, few of them, are worth a convex hull.
    worth = np.flatnonzero(widths / _LEAST_SHARE_SEEN >= widths.max() - TIE_MM)
    found = [perpendicular_diameters(part) for part in (np.split(points, starts[1:])[each] for each in worth)]
    longest = max(pair[0] for pair in found)
    return max((pair for pair in found if pair[0] >= longest - TIE_MM), key=lambda pair: pair[1])


def _widths(points: npt.NDArray[np.float64], starts: Indices) -> npt.NDArray[np.float64]:
    """How wide parts are, mm [P], seen from the direction of _DIRECTIONS from which they are widest.

    points: [N, 2], part by part; starts: the first point of each. At least _LEAST_SHARE_SEEN of a part's diameter, and
    never more than it.
    """
    along = points @ _DIRECTIONS
    return np.max(np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts), axis=1)


def _mean_index(piece: Mask) -> npt.NDArray[np.float64]:
    """Mean index of the voxels of a piece along each axis, float64 [3]."""
    planes = (np.count_nonzero(piece, axis=tuple({0, 1, 2} - {axis})) for axis in range(3))
    return np.array([np.average(np.arange(len(counts)), weights=counts) for counts in planes])


def _in_mm(voxels: Indices, grid: Geometry) -> npt.NDArray[np.float64]:
    """Indices [N, 3] (slice, row, column) or [N, 2] (row, column) as millimetres along the grid's own axes."""
    return voxels * np.array(grid.spacing_mm[::-1])[-voxels.shape[1] :]


def _run_ends(piece: Mask) -> Mask:
    """The first and last voxel of every run along the last axis: no other can be a corner of a convex hull.

    This exact reduction keeps the hull of a large lesion cheap.
    """
    padded = np.pad(piece, ((0, 0), (0, 0), (1, 1)))
    return piece & ~(padded[:, :, :-2] & padded[:, :, 2:])
