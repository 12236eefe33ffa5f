"""A labelmap on another grid of the same voxels, judged by where SimpleITK puts each voxel in the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.lattice import place_on
from result_phantoms import GRIDS, ellipsoid, points_lps

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)


def blob(geometry: Geometry) -> npt.NDArray[np.bool_]:
    return ellipsoid(geometry, (4.0, -8.0, 25.0), (7.0, 12.0, 9.0))


@every_grid
@pytest.mark.parametrize("seed", range(4))
def test_voxels_stay_where_they_are_in_the_patient(geometry: Geometry, seed: int) -> None:
    """SimpleITK's own permutation, flips and padding are the other program."""
    rng = np.random.default_rng(seed)
    image = Volume(blob(geometry), geometry).to_image()
    image = sitk.PermuteAxes(image, rng.permutation(3).tolist())
    image = sitk.Flip(image, rng.integers(0, 2, 3).astype(bool).tolist(), False)
    image = sitk.ConstantPad(image, rng.integers(0, 5, 3).tolist(), rng.integers(0, 5, 3).tolist())
    placed = place_on(Volume.of_image(image), geometry)
    np.testing.assert_array_equal(placed > 0, blob(geometry))


@every_grid
def test_a_part_of_the_grid_lands_at_its_place(geometry: Geometry) -> None:
    """Slicer may write the box around a segment alone."""
    whole = blob(geometry)
    image = Volume(whole, geometry).to_image()
    k, j, i = (int(part.min()) for part in np.nonzero(whole))
    part = image[i:, j:, k:]
    np.testing.assert_array_equal(place_on(Volume.of_image(part), geometry) > 0, whole)


def test_labels_keep_their_values_and_type() -> None:
    geometry = GRIDS["oblique"]
    labels = np.arange(np.prod(geometry.shape_kji), dtype=np.int16).reshape(geometry.shape_kji) % 7
    placed = place_on(Volume(labels, geometry), geometry)
    assert placed.dtype == np.int16
    np.testing.assert_array_equal(placed, labels)


@pytest.mark.parametrize(
    "moved",
    [
        lambda g: replace(g, spacing_mm=(g.spacing_mm[0] * 1.01, *g.spacing_mm[1:])),
        lambda g: replace(g, origin_lps=(g.origin_lps[0] + 0.4, *g.origin_lps[1:])),
        lambda g: replace(g, direction_lps=GRIDS["oblique"].direction_lps),
    ],
    ids=["spacing", "half a voxel away", "turned"],
)
def test_other_voxels_are_refused(moved: object) -> None:
    geometry = GRIDS["axial"]
    other = moved(geometry)  # type: ignore[operator]
    with pytest.raises(GeometryError, match=r"are not those of the images, 40 x 44 x 18 of .*Choose the series"):
        place_on(Volume(blob(geometry), other), geometry)


def test_labels_outside_the_field_of_view_are_refused_and_counted() -> None:
    geometry = GRIDS["axial"]
    smaller = replace(geometry, size_ijk=(40, 44, 8))
    lost = int(blob(geometry)[8:].sum())
    with pytest.raises(GeometryError, match=f"{lost} labelled voxels lie outside.*Choose the series"):
        place_on(Volume(blob(geometry), geometry), smaller)


def test_a_grid_that_lies_elsewhere_holds_nothing() -> None:
    geometry = GRIDS["axial"]
    far = replace(geometry, origin_lps=tuple(float(part) + 1000 for part in geometry.origin_lps))
    assert not place_on(Volume(np.zeros(geometry.shape_kji, bool), far), geometry).any()


def test_phantom_lies_where_points_say() -> None:
    """The reference of this file itself: ITK's transform of indices."""
    geometry = GRIDS["oblique sagittal"]
    image = Volume(blob(geometry), geometry).to_image()
    assert points_lps(geometry)[3, 5, 7] == pytest.approx(image.TransformIndexToPhysicalPoint((7, 5, 3)))
