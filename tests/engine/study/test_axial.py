"""Axial order of grids, against SimpleITK's own reorientation."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.study.axial import AxialOrder, axial_geometry, slice_positions_mm
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from result_phantoms import AXIAL, GRIDS, SAGITTAL, grid, tilted

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)


def random_array(geometry: Geometry) -> np.ndarray:
    return np.random.default_rng(1).normal(size=geometry.shape_kji).astype(np.float32)


@every_grid
def test_axial_view_is_that_of_simpleitk_in_lps_order(geometry: Geometry) -> None:
    array = random_array(geometry)
    oriented = sitk.DICOMOrient(Volume(array, geometry).to_image(), "LPS")
    np.testing.assert_array_equal(AxialOrder.of(geometry).to_axial(array), sitk.GetArrayViewFromImage(oriented))
    assert axial_geometry(geometry).is_close_to(Geometry.of_image(oriented), 1e-9)


@every_grid
def test_way_back_from_axial_order_is_exact(geometry: Geometry) -> None:
    array = random_array(geometry)
    order = AxialOrder.of(geometry)
    np.testing.assert_array_equal(order.from_axial(order.to_axial(array)), array)


@every_grid
def test_slice_positions_are_the_heights_of_slice_centres(geometry: Geometry) -> None:
    oriented = sitk.DICOMOrient(Volume(random_array(geometry), geometry).to_image(), "LPS")
    columns, rows, slices = oriented.GetSize()
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    expected = [oriented.TransformContinuousIndexToPhysicalPoint((*middle, float(k)))[2] for k in range(slices)]
    np.testing.assert_allclose(slice_positions_mm(geometry), expected, atol=1e-9)
    assert np.all(np.diff(slice_positions_mm(geometry)) > 0)


def test_pixel_area_is_that_of_the_axial_plane() -> None:
    sagittal = grid(SAGITTAL, (4, 5, 6), (0.5, 0.7, 3.0))
    assert AxialOrder.of(sagittal).pixel_area_mm2 == pytest.approx(0.5 * 3.0)


@pytest.mark.parametrize("degrees", [-44, -30, 30, 44])
def test_tilted_axial_stack_keeps_its_own_slices(degrees: float) -> None:
    assert AxialOrder.of(grid(tilted(AXIAL, degrees, 0, 0), (4, 5, 6), (1, 1, 5))).axes == (0, 1, 2)


def test_every_rotation_gives_three_different_axes() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        geometry = grid(tilted(AXIAL, *rng.uniform(-180, 180, 3)), (2, 3, 4), (1, 1, 1))
        order = AxialOrder.of(geometry)
        assert sorted(order.axes) == [0, 1, 2]
        superior = np.abs(np.reshape(geometry.direction_lps, (3, 3))[2])
        assert superior[2 - order.axes[0]] == superior.max()
        assert np.all(np.diff(slice_positions_mm(geometry)) > 0)
