"""Lesions and slice measures on phantoms in every orientation, against SimpleITK's label statistics."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.measurement.lesions import binary_entropy, find_lesions, slice_measures
from BrainTumorSegLib.engine.study.axial import AxialOrder, axial_geometry
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from result_phantoms import AXIAL, GRIDS, ellipsoid, grid, points_lps

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
CENTRE_LPS = (4.0, -8.0, 25.0)
PLAIN = grid(AXIAL, (20, 16, 12), (1.0, 2.0, 4.0))


def lesion_shape(geometry: Geometry) -> np.ndarray:
    """An ellipsoid with a bite out of it, so that no symmetry hides a swapped axis."""
    bite = ellipsoid(geometry, (9.0, -13.0, 28.0), (6.0, 5.0, 7.0))
    return ellipsoid(geometry, CENTRE_LPS, (7.0, 12.0, 9.0)) & ~bite


@every_grid
def test_volume_diameter_and_centre_are_those_of_simpleitk(geometry: Geometry) -> None:
    mask = lesion_shape(geometry)
    (lesion,) = find_lesions(mask, geometry)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.ComputeFeretDiameterOn()
    statistics.Execute(Volume(mask, geometry).to_image())
    assert lesion.volume_ml == pytest.approx(statistics.GetPhysicalSize(1) / 1000)
    assert lesion.longest_diameter_mm == pytest.approx(statistics.GetFeretDiameter(1))
    x, y, z = statistics.GetCentroid(1)
    assert lesion.centroid_ras == pytest.approx((-x, -y, z))


TURN = np.reshape(sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians((30.0, -20.0, 40.0)).tolist()).GetMatrix(), (3, 3))
RADII_MM = np.array([7.0, 13.0, 9.0])


@pytest.mark.parametrize("turn", [np.eye(3), TURN], ids=["straight", "turned"])
@every_grid
def test_ellipsoid_has_its_closed_form_within_one_voxel(geometry: Geometry, turn: np.ndarray) -> None:
    """Semi-axes of its section by a plane through the centre: eigenvalues of its matrix in that plane."""
    offsets = (points_lps(geometry) - CENTRE_LPS) @ turn / RADII_MM
    (lesion,) = find_lesions((offsets**2).sum(axis=-1) <= 1, geometry)
    plane = np.reshape(axial_geometry(geometry).direction_lps, (3, 3))[:, :2]
    section = plane.T @ turn @ np.diag(RADII_MM**-2.0) @ turn.T @ plane
    in_plane = 2 / np.sqrt(np.linalg.eigvalsh(section))
    assert lesion.axial_diameters_mm == pytest.approx(in_plane, abs=max(AxialOrder.of(geometry).spacing_mm[1:]))
    assert lesion.longest_diameter_mm == pytest.approx(2 * RADII_MM.max(), abs=max(geometry.spacing_mm))
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * RADII_MM.prod() / 1000, rel=0.05)
    assert lesion.centroid_ras == pytest.approx((-4, 8, 25), abs=0.5)


@every_grid
def test_same_voxels_in_any_array_order_give_the_same_measures(geometry: Geometry) -> None:
    mask = lesion_shape(geometry)
    oriented = Volume.of_image(sitk.DICOMOrient(Volume(mask, geometry).to_image(), "ASR"))
    (one,), (other,) = find_lesions(mask, geometry), find_lesions(oriented.array > 0, oriented.geometry)
    assert other.slices == one.slices
    assert other.axial_diameters_mm == pytest.approx(one.axial_diameters_mm)
    assert other.centroid_ras == pytest.approx(one.centroid_ras)
    assert other.longest_diameter_mm == pytest.approx(one.longest_diameter_mm)


@every_grid
def test_slice_range_counts_axial_slices_from_below(geometry: Geometry) -> None:
    mask = lesion_shape(geometry)
    occupied = np.flatnonzero(AxialOrder.of(geometry).to_axial(mask).any(axis=(1, 2)))
    assert find_lesions(mask, geometry)[0].slices == (occupied[0], occupied[-1])
    top = np.zeros(geometry.shape_kji, bool)
    AxialOrder.of(geometry).to_axial(top)[-1, 3, 3] = True
    (lesion,) = find_lesions(top, geometry)
    assert lesion.slices == (axial_geometry(geometry).size_ijk[2] - 1,) * 2


def test_box_is_measured_between_voxel_centres() -> None:
    mask = np.zeros(PLAIN.shape_kji, bool)
    mask[2:7, 3:8, 4:13] = True
    (lesion,) = find_lesions(mask, PLAIN)
    assert lesion.longest_diameter_mm == pytest.approx(np.sqrt(8**2 + 8**2 + 16**2))
    assert lesion.axial_diameters_mm == pytest.approx((np.hypot(8, 8), np.hypot(8, 8)))
    assert lesion.volume_ml == pytest.approx(5 * 5 * 9 * 8 / 1000)
    assert lesion.slices == (2, 6)


@pytest.mark.parametrize(
    ("box", "longest", "axial"),
    [
        (np.s_[5:6, 5:6, 5:6], 0.0, (0.0, 0.0)),
        (np.s_[5:6, 5:6, 5:9], 3.0, (3.0, 0.0)),
        (np.s_[3:6, 5:6, 5:6], 8.0, (0.0, 0.0)),
        (np.s_[5:6, 5:7, 5:8], 8**0.5, (8**0.5, 8**0.5)),
    ],
    ids=["one voxel", "a row", "a column of slices", "one slice"],
)
def test_flat_lesions_are_measured(box: tuple[slice, ...], longest: float, axial: tuple[float, float]) -> None:
    mask = np.zeros(PLAIN.shape_kji, bool)
    mask[box] = True
    (lesion,) = find_lesions(mask, PLAIN)
    assert lesion.longest_diameter_mm == pytest.approx(longest)
    assert lesion.axial_diameters_mm == pytest.approx(axial)


def test_lesions_are_ordered_by_volume() -> None:
    mask = np.zeros(PLAIN.shape_kji, bool)
    mask[1, 1, 1] = mask[6:8, 6:9, 6:9] = mask[10, 2:4, 15] = True
    lesions = find_lesions(mask, PLAIN)
    assert [lesion.id for lesion in lesions] == [1, 2, 3]
    assert [lesion.volume_ml for lesion in lesions] == pytest.approx([18 * 0.008, 2 * 0.008, 0.008])
    assert [lesion.slices for lesion in lesions] == [(6, 7), (10, 10), (1, 1)]


def test_axial_diameter_never_spans_the_gap_of_a_horseshoe() -> None:
    mask = np.zeros(PLAIN.shape_kji, bool)
    mask[2:8, 5:7, 2:4] = mask[2:8, 5:7, 15:17] = True
    mask[2, 5, 2:17] = True
    (lesion,) = find_lesions(mask[::-1], PLAIN)
    assert lesion.axial_diameters_mm[0] == pytest.approx(np.hypot(14, 2))
    mask[2, 5, 2:17] = False
    mask[7:9, 5, 3] = mask[9, 5, 4:16] = mask[7:9, 5, 16] = True
    (bridged,) = find_lesions(mask, PLAIN)
    assert bridged.axial_diameters_mm[0] == pytest.approx(11)
    assert bridged.longest_diameter_mm > 14


def test_empty_mask_has_no_lesions() -> None:
    assert find_lesions(np.zeros(PLAIN.shape_kji, bool), PLAIN) == ()


def test_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(DefectError, match=r"\(2, 2, 2\).*does not fit a grid of \(12, 16, 20\).*report it"):
        find_lesions(np.zeros((2, 2, 2), bool), PLAIN)


@every_grid
def test_slice_areas_add_up_to_the_volume(geometry: Geometry) -> None:
    mask = lesion_shape(geometry)
    measures = slice_measures(mask, mask.astype(np.float32), geometry)
    slice_mm = axial_geometry(geometry).spacing_mm[2]
    volume_ml = mask.sum() * geometry.voxel_volume_ml
    assert sum(m.area_mm2 for m in measures) * slice_mm / 1000 == pytest.approx(volume_ml)
    assert [m.position_mm for m in measures] == sorted(m.position_mm for m in measures)


def test_uncertainty_is_the_mean_entropy_of_the_voxels_in_question() -> None:
    probability = np.full(PLAIN.shape_kji, 0.04, np.float32)
    probability[3, 2, :4] = (0.5, 0.1, 0.9, 1.0)
    expected = scipy.stats.entropy([[0.5, 0.1, 0.9, 1.0], [0.5, 0.9, 0.1, 0.0]], base=2).mean()
    measures = slice_measures(probability > 0.5, probability, PLAIN)
    assert measures[3].mean_uncertainty == pytest.approx(expected, abs=1e-6)
    assert measures[4].mean_uncertainty == 0


def test_certain_voxels_have_no_entropy_and_even_ones_a_bit() -> None:
    assert binary_entropy(np.array([0.0, 0.5, 1.0])).tolist() == [0, 1, 0]
