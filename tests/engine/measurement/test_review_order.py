"""Which slices come first, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from BrainTumorSegLib.engine.measurement.lesions import DOUBT_REACH_MM, slice_measures
from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.engine.measurement.review_order import Reason, review_order, worth_a_look
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry
from result_phantoms import GRIDS, ellipsoid, phantom_result


def seen(probability: float, area_mm2: float, bits: float, doubtful_mm2: float, reaches_edge: bool) -> SliceScore:
    """What is known of a slice."""
    return SliceScore(0, 0.0, probability, True, area_mm2, bits, doubtful_mm2, reaches_edge)


CLEAR = seen(0.02, 0.0, 0.0, 0.0, False)
SURE = seen(0.99, 900.0, 0.1, 5.0, False)


def stack(**changed: SliceScore) -> list[SliceScore]:
    """Twelve slices, a tapering tumour in the middle; ``changed``: others by number, as s3=..."""
    areas = {4: 200.0, 5: 600.0, 6: 900.0, 7: 600.0, 8: 200.0}
    slices = [replace(SURE, area_mm2=areas[n]) if n in areas else CLEAR for n in range(12)]
    for name, evidence in changed.items():
        slices[int(name[1:])] = evidence
    return slices


CASES = {
    Reason.UNCERTAIN: (6, stack(s6=replace(SURE, doubtful_area_mm2=400.0)), "about 400 mm² may be wrong"),
    Reason.MISSED: (1, stack(s1=replace(CLEAR, tumour_probability=0.93)), "finds tumour here (probability 0.93)"),
    Reason.CONTRADICTED: (6, stack(s6=replace(SURE, tumour_probability=0.07)), "finds none (probability 0.07)"),
    Reason.LONE: (1, stack(s1=replace(SURE, area_mm2=300.0)), "in this slice alone, between clear slices"),
    Reason.GAP: (6, stack(s6=replace(CLEAR, tumour_probability=0.4)), "though the slices below and above have tumour"),
    Reason.ABRUPT: (8, stack(s8=replace(SURE, area_mm2=800.0)), "800 mm² here, nothing in the slice above"),
    Reason.EDGE: (6, stack(s6=replace(SURE, reaches_edge=True)), "reaches the edge of the field of view"),
}


@pytest.mark.parametrize("reason", CASES, ids=str)
def test_the_odd_slice_comes_first_and_its_reason_is_said(reason: Reason) -> None:
    index, slices, words = CASES[reason]
    first = review_order(slices)[0]
    assert (first.index, first.reason) == (index, reason)
    assert words in first.sentence
    assert first.sentence.endswith(".")


def test_the_empty_slice_beside_an_abrupt_end_is_named_too() -> None:
    found = {need.index: need for need in review_order(stack(s8=replace(SURE, area_mm2=800.0)))}
    assert found[9].sentence == "The tumour ends abruptly: nothing here, 800 mm² in the slice below."


def test_a_tapering_tumour_and_clear_slices_raise_nothing() -> None:
    for need in review_order(stack()):
        assert need.reason in {Reason.UNCERTAIN, Reason.CLEAR}
    clear = review_order([CLEAR] * 5)
    assert [(need.index, need.need_mm2, need.reason) for need in clear] == [(n, 0.0, Reason.CLEAR) for n in range(5)]


@pytest.mark.parametrize("seed", range(20))
def test_every_slice_is_listed_once_most_needed_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slices = [
        seen(p, a * (a > 300), u, d, bool(e))
        for p, a, u, d, e in zip(
            rng.random(17).tolist(),
            (900 * rng.random(17)).tolist(),
            rng.random(17).tolist(),
            (50 * rng.random(17)).tolist(),
            rng.integers(0, 2, 17),
            strict=True,
        )
    ]
    needs = review_order(slices)
    assert sorted(need.index for need in needs) == list(range(17))
    assert [need.need_mm2 for need in needs] == sorted((need.need_mm2 for need in needs), reverse=True)
    assert min(need.need_mm2 for need in needs) >= 0
    # The same stack upside down says the same of the same slices.
    upside_down = {16 - need.index: need.need_mm2 for need in review_order(slices[::-1])}
    assert all(upside_down[need.index] == pytest.approx(need.need_mm2) for need in needs)


@pytest.mark.parametrize(("doubtful", "slices", "expected"), [(0, 30, 0), (30, 30, 6), (4, 4, 1)])
def test_at_most_a_fifth_is_worth_a_look_and_nothing_clear(doubtful: int, slices: int, expected: int) -> None:
    order = review_order([SURE] * doubtful + [CLEAR] * (slices - doubtful))
    chosen = worth_a_look(order)
    assert len(chosen) == expected
    assert chosen == order[:expected]
    assert all(need.reason is not Reason.CLEAR for need in chosen)


def test_no_slice_gives_no_order() -> None:
    assert review_order([]) == ()


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
def test_doubtful_area_is_that_near_the_outline(geometry: Geometry) -> None:
    """Counted pixel by pixel from the distance to every pixel of the outline in its slice."""
    order = AxialOrder.of(geometry)
    ball = ellipsoid(geometry, (4.0, -8.0, 25.0), (7.0, 9.0, 8.0))
    probability = (np.random.default_rng(3).random(geometry.shape_kji) ** 2).astype(np.float32)
    measures = slice_measures(ball, probability, geometry)
    height_mm, width_mm = order.spacing_mm[1:]
    for mask, values, measure in zip(order.to_axial(ball), order.to_axial(probability), measures, strict=True):
        places = np.argwhere(np.ones(mask.shape, bool)) * (height_mm, width_mm)
        marked = np.argwhere(mask) * (height_mm, width_mm)
        expected = 0.0
        if len(marked):
            away = np.linalg.norm(places[:, None] - marked[None], axis=-1).min(axis=1).reshape(mask.shape)
            near = values[away <= DOUBT_REACH_MM].astype(np.float64)
            expected = float(np.minimum(near, 1 - near).sum()) * height_mm * width_mm
        assert measure.doubtful_area_mm2 == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_only_what_touches_a_border_reaches_the_edge() -> None:
    geometry = GRIDS["axial"]
    ball = ellipsoid(geometry, (4.0, -8.0, 25.0), (7.0, 7.0, 7.0))
    assert not any(m.reaches_edge for m in slice_measures(ball, ball.astype(np.float32), geometry))
    cut = ball.copy()
    cut[9, 20:24, 0] = True
    assert [n for n, m in enumerate(slice_measures(cut, cut.astype(np.float32), geometry)) if m.reaches_edge] == [9]


def test_a_result_lists_all_its_slices() -> None:
    result = phantom_result(GRIDS["oblique"], ellipsoid(GRIDS["oblique"], (4.0, -8.0, 25.0), (7.0, 12.0, 9.0)))
    assert sorted(need.index for need in result.review) == list(range(len(result.slices)))
    assert review_order(result.slices) == result.review


def test_it_loads_the_standard_library_alone() -> None:
    script = "import sys, BrainTumorSegLib.engine.measurement.review_order; print('\\n'.join(sys.modules))"
    folder = Path(__file__).parents[3] / "BrainTumorSeg"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert not {"numpy", "scipy", "SimpleITK", "torch"} & set(run.stdout.split())
