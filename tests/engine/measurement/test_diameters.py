"""Diameters, against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial

from BrainTumorSegLib.engine.measurement.diameters import longest_diameter, perpendicular_diameters


def filled(*sizes: int) -> np.ndarray:
    return np.argwhere(np.ones(sizes)).astype(float)


def widest_chord_by_clipping(points: np.ndarray, axis: np.ndarray) -> float:
    """The longest perpendicular chord by clipping many lines against the hull's half-planes."""
    normals, offsets = np.split(scipy.spatial.ConvexHull(points).equations, [2], axis=1)
    across = np.array([-axis[1], axis[0]])
    widest = 0.0
    for place in np.linspace(*np.sort(points @ axis)[[0, -1]], 2001)[1:-1]:
        slopes, heights = normals @ across, normals @ (place * axis) + offsets[:, 0]
        parallel = np.abs(slopes) < 1e-12
        ends = -heights[~parallel] / slopes[~parallel]
        rising = slopes[~parallel] > 0
        widest = max(widest, ends[rising].min() - ends[~rising].max())
    return widest


@pytest.mark.parametrize("dimensions", [2, 3])
def test_longest_diameter_is_the_largest_of_all_distances(dimensions: int) -> None:
    points = np.random.default_rng(2).normal(size=(300, dimensions))
    assert longest_diameter(points) == pytest.approx(scipy.spatial.distance.pdist(points).max())


@pytest.mark.parametrize("seed", range(5))
def test_second_diameter_is_the_widest_perpendicular_chord_of_the_hull(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(60, 2)) * (3, 1)
    longest, across = perpendicular_diameters(points)
    distances = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(points))
    first, last = np.unravel_index(distances.argmax(), distances.shape)
    assert longest == pytest.approx(distances.max())
    assert across == pytest.approx(widest_chord_by_clipping(points, (points[last] - points[first]) / longest), rel=2e-3)


def test_rectangle_is_measured_along_its_diagonal() -> None:
    a, b = 8.0, 5.0
    longest, across = perpendicular_diameters(filled(9, 6))
    assert longest == pytest.approx(np.hypot(a, b))
    assert across == pytest.approx(b * np.hypot(a, b) / a)  # from a corner to the opposite long side


def test_square_has_two_equal_diameters() -> None:
    assert perpendicular_diameters(filled(7, 7)) == pytest.approx((6 * 2**0.5, 6 * 2**0.5))


def test_ellipse_has_its_two_axes() -> None:
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    ellipse = np.column_stack([20 * np.cos(angles), 7 * np.sin(angles)]) @ turn
    assert perpendicular_diameters(ellipse) == pytest.approx((40, 14), rel=1e-3)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (np.array([[3.0, 4.0, 5.0]]), 0.0),
        (np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 12.0]]), 13.0),
        (np.arange(5)[:, None] * np.array([[2.0, 1.0, 2.0]]), 12.0),
        (np.hstack([filled(4, 5), np.full((20, 1), 7.0)]), 5.0),
    ],
    ids=["one point", "two points", "a line", "a plane"],
)
def test_sets_without_volume_have_their_longest_diameter(points: np.ndarray, expected: float) -> None:
    assert longest_diameter(points) == pytest.approx(expected)


def test_line_has_no_second_diameter() -> None:
    assert perpendicular_diameters(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])) == pytest.approx((20**0.5, 0.0))


def test_single_point_has_no_diameters() -> None:
    assert perpendicular_diameters(np.array([[1.0, 2.0]])) == (0.0, 0.0)
