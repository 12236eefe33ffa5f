"""Strokes on phantoms with a known lesion: what was missed is found, what was wrong goes, what was reviewed stays."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
import skimage.measure

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.measurement.strokes import REACH_MM, Strokes, refine_by_strokes
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry
from result_phantoms import AXIAL, GRIDS, ellipsoid, grid, points_lps, tilted

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
HEAD, LESION, OTHER = (7.0, -11.0, 23.0), (4.0, -8.0, 24.0), (16.0, 2.0, 20.0)


def head(geometry: Geometry) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """FLAIR with a bright lesion, a probability that half sees it, and the lesion itself."""
    rng = np.random.default_rng(5)
    lesion = ellipsoid(geometry, LESION, (6.0, 6.0, 7.0))
    brain = ellipsoid(geometry, HEAD, (18.0, 20.0, 20.0))
    flair = np.where(lesion, 300, np.where(brain, 150, 5)) + rng.normal(0, 8, lesion.shape)
    probability = np.where(lesion, 0.35, 0.02) + rng.uniform(0, 0.02, lesion.shape)
    return flair.astype(np.float32), probability.astype(np.float32), lesion


def dot(geometry: Geometry, centre: tuple[float, float, float], radius_mm: float = 1.6) -> npt.NDArray[np.bool_]:
    found = ellipsoid(geometry, centre, (radius_mm,) * 3)
    if not found.any():  # a voxel is thicker than that
        nearest = np.linalg.norm(points_lps(geometry) - centre, axis=-1)
        found = nearest == nearest.min()
    return found


def nothing(geometry: Geometry) -> npt.NDArray[np.bool_]:
    return np.zeros(geometry.shape_kji, bool)


def dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


@every_grid
def test_a_dot_in_a_missed_lesion_finds_the_lesion(geometry: Geometry) -> None:
    flair, probability, lesion = head(geometry)
    strokes = Strokes(dot(geometry, LESION), nothing(geometry))
    refined = refine_by_strokes(flair, probability, nothing(geometry), strokes, geometry)
    assert dice(refined, lesion) > 0.9
    assert refined[strokes.tumour].all()


@every_grid
def test_background_drawn_in_a_false_find_removes_it_and_leaves_the_lesion(geometry: Geometry) -> None:
    """The false find is no brighter than brain: a short stroke through it is enough."""
    flair, probability, lesion = head(geometry)
    false = ellipsoid(geometry, OTHER, (3.0, 3.0, 4.0)) & ~lesion
    probability = np.where(false, np.float32(0.6), probability)
    strokes = Strokes(nothing(geometry), dot(geometry, OTHER))
    refined = refine_by_strokes(flair, probability, lesion | false, strokes, geometry)
    assert (refined & false).sum() < 0.1 * false.sum()
    assert dice(refined, lesion) > 0.95


@every_grid
def test_reviewed_slices_and_what_is_far_never_change(geometry: Geometry) -> None:
    flair, probability, lesion = head(geometry)
    mask = ellipsoid(geometry, OTHER, (4.0, 4.0, 4.0))
    strokes = Strokes(dot(geometry, LESION), nothing(geometry))
    order = AxialOrder.of(geometry)
    middle = int(np.argmax(order.to_axial(strokes.tumour).sum(axis=(1, 2))))
    reviewed = (middle - 1, middle + 1)
    refined = refine_by_strokes(flair, probability, mask, strokes, geometry, reviewed)
    np.testing.assert_array_equal(order.to_axial(refined)[list(reviewed)], order.to_axial(mask)[list(reviewed)])
    far = np.linalg.norm(points_lps(geometry) - LESION, axis=-1) > REACH_MM + 4.0
    np.testing.assert_array_equal(refined[far], mask[far])
    assert (refined & lesion).any(), "the open slices follow"


@pytest.mark.parametrize("seed", range(6))
def test_strokes_hold_exactly_whatever_the_image_says(seed: int) -> None:
    geometry = GRIDS["oblique"]
    rng = np.random.default_rng(seed)
    flair, probability = (rng.random(geometry.shape_kji).astype(np.float32) for _ in range(2))
    mask = rng.random(geometry.shape_kji) < 0.3
    drawn = rng.random(geometry.shape_kji) < 0.01
    tumour = drawn & (rng.random(geometry.shape_kji) < 0.5)
    held = rng.random(geometry.shape_kji) < 0.05
    before = mask.copy()
    refined = refine_by_strokes(flair, probability, mask, Strokes(tumour, drawn & ~tumour, held), geometry)
    assert refined[tumour].all()
    assert not refined[drawn & ~tumour].any()
    np.testing.assert_array_equal(refined[held & ~drawn], mask[held & ~drawn], "drawn earlier")
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("seed", range(5))
def test_a_piece_that_becomes_too_small_for_a_lesion_goes_unless_somebody_drew_in_it(seed: int) -> None:
    """Which pieces those are is said piece by piece, by another library's labels of the same walk."""
    geometry = grid(tilted(AXIAL, 20, 10, 5), (44, 10, 6), (1.5, 1.5, 3.0))
    rng = np.random.default_rng(seed)
    flair, probability = (rng.random(geometry.shape_kji).astype(np.float32) for _ in range(2))
    mask = rng.random(geometry.shape_kji) < 0.08
    drawn = rng.random(geometry.shape_kji) < 0.05
    drawn[:, :, 16:] = False  # the reach ends within the volume, and within pieces
    strokes = Strokes(drawn & ~mask, drawn & mask, rng.random(geometry.shape_kji) < 0.02)
    reviewed, least_ml = (4,), 9.5 * geometry.voxel_volume_ml
    walked = refine_by_strokes(flair, probability, mask, strokes, geometry, reviewed)
    fixed = drawn | strokes.held
    AxialOrder.of(geometry).to_axial(fixed)[list(reviewed)] = True
    stays = {
        piece
        for piece in pieces_of(walked)
        if len(piece) >= 10 or piece in pieces_of(mask) or any(fixed[voxel] for voxel in piece)
    }
    refined = refine_by_strokes(flair, probability, mask, strokes, geometry, reviewed, least_ml)
    assert pieces_of(refined) == stays < pieces_of(walked)


def pieces_of(mask: npt.NDArray[np.bool_]) -> set[frozenset[tuple[int, ...]]]:
    labels = skimage.measure.label(mask, connectivity=3)
    return {frozenset(map(tuple, each.coords.tolist())) for each in skimage.measure.regionprops(labels)}


def test_strokes_of_one_kind_that_reach_everywhere_change_themselves_alone() -> None:
    geometry = grid(AXIAL, (9, 9, 9), (1.0, 1.0, 1.0))
    flair = np.ones(geometry.shape_kji, np.float32)
    strokes = Strokes(nothing(geometry), dot(geometry, HEAD))
    refined = refine_by_strokes(flair, flair, np.ones(geometry.shape_kji, bool), strokes, geometry)
    np.testing.assert_array_equal(refined, ~strokes.background)


def test_strokes_of_both_kinds_where_all_looks_alike_change_themselves_alone() -> None:
    geometry = grid(AXIAL, (9, 9, 9), (1.0, 1.0, 1.0))
    air = np.zeros(geometry.shape_kji, np.float32)
    tumour, background = nothing(geometry), nothing(geometry)
    tumour[4, 4, 2], background[4, 4, 6] = True, True
    refined = refine_by_strokes(air, air, nothing(geometry), Strokes(tumour, background), geometry)
    np.testing.assert_array_equal(refined, tumour)


def test_contradicting_missing_and_idle_strokes_are_refused() -> None:
    geometry = GRIDS["axial"]
    flair, probability, lesion = head(geometry)
    ball = dot(geometry, LESION)
    with pytest.raises(InputError, match="voxels are drawn as tumour and as background.*Erase one"):
        Strokes(ball, ball)
    with pytest.raises(InputError, match=r"There are no strokes\. Draw some"):
        Strokes(nothing(geometry), nothing(geometry))
    every = tuple(range(geometry.size_ijk[2]))
    with pytest.raises(InputError, match="ticked off as reviewed, which never change.*Take the tick"):
        refine_by_strokes(flair, probability, lesion, Strokes(ball, nothing(geometry)), geometry, every)
    with pytest.raises(InputError, match=r"There is no slice 19: the study has 18\."):
        refine_by_strokes(flair, probability, lesion, Strokes(ball, nothing(geometry)), geometry, (18,))


def test_a_study_s_size_takes_seconds() -> None:
    geometry = grid(AXIAL, (256, 256, 36), (0.9, 0.9, 5.0))
    flair, probability, lesion = head(geometry)
    started = time.process_time()
    refined = refine_by_strokes(
        flair, probability, nothing(geometry), Strokes(dot(geometry, LESION), nothing(geometry)), geometry
    )
    assert dice(refined, lesion) > 0.8
    assert time.process_time() - started < 20
