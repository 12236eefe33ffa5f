"""Small heads with known content and position, for tests that need no realism."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def head(
    size_ijk: tuple[int, int, int] = (48, 56, 20),
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 7.0),
    tilt_degrees: tuple[float, float, float] = (8.0, -5.0, 3.0),
    moved: sitk.Transform | None = None,
    inverted: bool = False,
    centre_lps: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> sitk.Image:
    """An int16 head of ellipsoids (scalp, skull, brain, ventricles, two lesions) fixed in LPS, on an oblique grid.

    moved: maps scanner points to head points, a head that lies elsewhere. inverted: another contrast.
    centre_lps: where the grid's centre lies.
    """
    direction = sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians(tilt_degrees).tolist()).GetMatrix()
    half = [(size - 1) / 2 * spacing for size, spacing in zip(size_ijk, spacing_mm, strict=True)]
    origin = np.asarray(centre_lps) - np.reshape(direction, (3, 3)) @ half
    k, j, i = np.indices(size_ijk[::-1])
    points = np.stack([i * spacing_mm[0], j * spacing_mm[1], k * spacing_mm[2]]).reshape(3, -1)
    points = np.reshape(direction, (3, 3)) @ points + origin[:, None]
    if moved is not None:
        points = np.array([moved.TransformPoint(point) for point in points.T.tolist()]).T
    array = _brightness(points.reshape(3, *size_ijk[::-1]), inverted)
    array += np.random.default_rng(7).normal(0, 5, array.shape)
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing(spacing_mm)
    image.SetOrigin(origin.tolist())
    image.SetDirection(direction)
    return image


def _brightness(points: np.ndarray, inverted: bool) -> np.ndarray:
    parts = [  # centre, radii, brightness, brightness of the other contrast
        ((0, 0, 0), (76, 95, 62), 900, 800),
        ((0, 0, 0), (70, 89, 56), 40, 60),
        ((0, 0, 0), (65, 84, 51), 450, 300),
        ((-10, -15, 8), (7, 24, 14), 80, 120),
        ((12, 10, 6), (6, 22, 12), 80, 120),
        ((-38, 20, 10), (16, 18, 14), 800, 180),
        ((30, -40, -14), (10, 14, 10), 600, 520),
    ]
    array = np.zeros(points.shape[1:])
    for centre, radii, bright, other in parts:
        inside = sum(((p - c) / r) ** 2 for p, c, r in zip(points, centre, radii, strict=True)) < 1
        array[inside] = other if inverted else bright
    return array
