"""Agreement of two labelmaps against MONAI's metrics and plain geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance

from BrainTumorSegLib.engine.errors import GeometryError
from BrainTumorSegLib.engine.measurement.comparison import compare
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from result_phantoms import AXIAL, GRIDS, ellipsoid, grid, tilted

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)


def ball(geometry: Geometry, *centre: float, radii: tuple[float, float, float] = (7.0, 9.0, 8.0)) -> Volume:
    return Volume(ellipsoid(geometry, centre or (4.0, -8.0, 25.0), radii), geometry)  # type: ignore[arg-type]


def noisy(volume: Volume, seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    array = volume.array ^ (rng.random(volume.array.shape) < 0.002)
    return Volume(array, volume.geometry)


def monai(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic], spacing: tuple[float, ...]) -> list[float]:
    a, b = (torch.from_numpy(np.ascontiguousarray(each))[None, None] for each in (first, second))
    return [
        float(compute_dice(a, b, include_background=True)),
        float(compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing)),
    ]


@every_grid
@pytest.mark.parametrize("seed", range(3))
def test_dice_and_hd95_are_monai_s(geometry: Geometry, seed: int) -> None:
    first, second = noisy(ball(geometry), seed), noisy(ball(geometry, 6.0, -5.0, 22.0), 100 + seed)
    found = compare(first, second)
    expected = monai(first.array, second.array, geometry.spacing_mm[::-1])
    assert [found.dice, found.hd95_mm] == pytest.approx(expected, rel=1e-5)


def test_shifted_ball_is_as_far_away_as_it_was_shifted() -> None:
    geometry = grid(AXIAL, (60, 60, 60), (1.0, 1.0, 1.0))
    found = compare(ball(geometry), ball(geometry, 8.0, -8.0, 25.0))
    assert found.hd95_mm == pytest.approx(4.0, abs=0.3)
    assert found.change_ml == pytest.approx(0.0, abs=0.02)


@every_grid
def test_volumes_and_change_are_those_of_the_voxels(geometry: Geometry) -> None:
    small, large = ball(geometry), ball(geometry, radii=(10.0, 10.0, 10.0))
    found = compare(small, large)
    voxel = geometry.voxel_volume_ml
    assert found.first_ml == pytest.approx(small.array.sum() * voxel)
    assert found.change_ml == pytest.approx((large.array.sum() - small.array.sum()) * voxel)
    assert found.change_percent == pytest.approx(100 * (large.array.sum() / small.array.sum() - 1))
    assert found.both_ml + found.only_first_ml == pytest.approx(found.first_ml)
    assert (found.only_first_ml, found.outside_ml) == (0.0, 0.0)


def test_equal_labelmaps_agree_fully() -> None:
    found = compare(ball(GRIDS["oblique"]), ball(GRIDS["oblique"]))
    assert (found.dice, found.hd95_mm, found.change_ml, found.change_percent) == (1.0, 0.0, 0.0, 0.0)


def test_empty_labelmaps_have_no_distance() -> None:
    geometry = GRIDS["axial"]
    empty = Volume(np.zeros(geometry.shape_kji, bool), geometry)
    both, one = compare(empty, empty), compare(empty, ball(geometry))
    assert (both.dice, both.hd95_mm, both.change_percent) == (1.0, None, None)
    assert (one.dice, one.hd95_mm, one.change_percent) == (0.0, None, None)
    assert one.change_ml > 0


@pytest.mark.parametrize("seed", range(5))
def test_other_grids_of_the_same_place_agree_but_for_their_voxels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fine = grid(AXIAL, (60, 64, 50), (1.0, 1.0, 1.0))
    turned = tilted(AXIAL, *rng.uniform(-20, 20, 3).tolist())
    other = grid(turned, (80, 84, 70), (0.9, 0.8, 0.9))
    found = compare(ball(fine), ball(other))
    assert found.dice > 0.95
    assert found.hd95_mm is not None
    assert found.hd95_mm <= 1.5
    assert abs(found.change_percent or 0) < 4


def test_order_of_voxels_in_the_file_does_not_matter() -> None:
    geometry = GRIDS["oblique"]
    image = sitk.Flip(ball(geometry).to_image(), (True, False, True), False)
    assert compare(ball(geometry), Volume.of_image(image)).dice == 1.0


def test_what_lies_outside_the_first_is_counted_apart() -> None:
    geometry = GRIDS["axial"]
    whole = ball(geometry)
    half = replace(geometry, size_ijk=(40, 44, 9))
    found = compare(Volume(whole.array[:9], half), whole)
    assert found.outside_ml == pytest.approx(whole.array[9:].sum() * geometry.voxel_volume_ml)
    assert found.second_ml == pytest.approx(whole.array.sum() * geometry.voxel_volume_ml)
    assert found.dice == 1.0


def test_labelmaps_that_lie_apart_are_refused() -> None:
    geometry = GRIDS["axial"]
    far = replace(geometry, origin_lps=(900.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="no place in common.*register one to the other"):
        compare(ball(geometry), Volume(np.ones(far.shape_kji, bool), far))
