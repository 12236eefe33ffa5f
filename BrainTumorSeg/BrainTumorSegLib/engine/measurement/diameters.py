"""Diameters of point sets, exact: the farthest pair, and the widest chord perpendicular to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.spatial

Points = npt.NDArray[np.float64]

# Millimetres by which two lengths count as equal: float noise of a rotated grid, far below any spacing.
TIE_MM = 1e-6


def longest_diameter(points: Points) -> float:
    """The largest distance between two of ``points``, float64 [N, D] in mm; 0 for one point.

    Both ends of a farthest pair are corners of the convex hull, so only these are compared.
    """
    corners = _hull_corners(points)
    return float(scipy.spatial.distance.pdist(corners).max()) if len(corners) > 1 else 0.0


def perpendicular_diameters(points: Points) -> tuple[float, float]:
    """The longest diameter of ``points``, float64 [N, 2] in mm, and the longest chord perpendicular to it.

    The two diameters of RANO (Wen et al., J Clin Oncol 2010) and WHO, measured on the convex hull: the first is the
    farthest pair; the second the longest segment within the hull at a right angle to the first, wherever it crosses.
    Where several pairs are farthest (a square's two diagonals), the one with the longest second diameter counts, so
    that the result does not depend on the order of the points.
    """
    corners = _hull_corners(points)
    if len(corners) < 2:
        return 0.0, 0.0
    distances = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(corners))
    longest = float(distances.max())
    pairs = np.argwhere(np.triu(distances) >= longest - TIE_MM)
    axes = (corners[pairs[:, 1]] - corners[pairs[:, 0]]) / longest
    return longest, max(_widest_chord(corners, axis) for axis in axes)


def _widest_chord(corners: Points, axis: npt.NDArray[np.float64]) -> float:
    """The longest chord perpendicular to the unit vector ``axis`` of the hull of ``corners`` [N, 2].

    The chord's length is a concave, piecewise linear function of its place along the axis, with its bends at corners:
    its maximum is at one of them.
    """
    along = corners @ axis
    across = corners @ np.array([-axis[1], axis[0]])
    first, last = int(along.argmin()), int(along.argmax())
    chord = across[last] - across[first], along[last] - along[first]
    height = across - across[first] - (along - along[first]) * chord[0] / chord[1]
    upper = _envelope(along, height, height >= 0, ends=(first, last))
    lower = _envelope(along, height, height <= 0, ends=(first, last))
    return float(np.max(upper - lower))


def _envelope(along: Points, height: Points, side: npt.NDArray[np.bool_], ends: tuple[int, int]) -> Points:
    """Height, at every corner's place, of the hull's boundary on one side of the line between its two ends."""
    chosen = side.copy()
    chosen[list(ends)] = True
    order = np.argsort(along[chosen], kind="stable")
    return np.interp(along, along[chosen][order], height[chosen][order])


def _hull_corners(points: Points) -> Points:
    """Corners of the convex hull of points [N, D]; of flat and collinear sets, in their own plane or line.

    Qhull refuses sets without volume: they are first expressed in the directions in which they extend.
    """
    centred = points - points.mean(axis=0)
    _, extents, directions = np.linalg.svd(centred, full_matrices=False)
    rank = int(np.sum(extents > TIE_MM))
    flat = centred @ directions[:rank].T
    if rank == 0:
        return points[:1]
    if rank == 1:
        return points[[int(flat[:, 0].argmin()), int(flat[:, 0].argmax())]]
    return points[scipy.spatial.ConvexHull(flat).vertices]
