"""The preview picture: right way round, in proportion, with the outline where the mask is, and without identity."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.output.preview.picture import preview_picture, render_preview
from BrainTumorSegLib.engine.output.preview.slices import (
    FEW_SLICES,
    MOST_SLICES,
    SliceStack,
    choose_slices,
    slice_stack,
    tile,
    windowed,
)
from BrainTumorSegLib.engine.output.preview.style import OUTLINE
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from result_phantoms import AXIAL, GRIDS, SAGITTAL, ellipsoid, grid, phantom_result

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
OBLIQUE = GRIDS["oblique"]
HEAD = (7.0, -11.0, 23.0)


def result_on(geometry: Geometry) -> Result:
    """A round head with a lesion in front on the patient's right: in LPS both are the lower x and y."""
    head = ellipsoid(geometry, HEAD, (18.0, 20.0, 20.0))
    lesion = ellipsoid(geometry, (0.0, -19.0, 23.0), (5.0, 5.0, 5.0))
    flair = np.where(lesion, 400, np.where(head, 200, 5)).astype(np.float32)
    return phantom_result(geometry, lesion, flair)


def stack_of(result: Result) -> SliceStack:
    return slice_stack(Volume(result.study.flair, result.geometry), result.mask, result.slices)


def is_outline(picture: Image.Image) -> np.ndarray:
    """Pixels that are far greener than any grey."""
    rgb = np.asarray(picture).astype(int)
    return rgb[..., 1] - np.maximum(rgb[..., 0], rgb[..., 2]) > 0.6 * (OUTLINE[1] - max(OUTLINE[0], OUTLINE[2]))


@every_grid
def test_right_of_the_patient_is_left_and_front_is_up(geometry: Geometry) -> None:
    stack = stack_of(result_on(geometry))
    largest = int(stack.mask.sum(axis=(1, 2)).argmax())
    picture = tile(stack, largest, 260)
    # Labels in the mask's colour stand in the lowest lines.
    rows, columns = np.nonzero(is_outline(picture)[: round(0.85 * picture.height)])
    assert columns.max() < picture.width / 2
    assert rows.max() < picture.height / 2


@every_grid
def test_outline_runs_along_the_border_of_the_mask(geometry: Geometry) -> None:
    stack = stack_of(result_on(geometry))
    largest = int(stack.mask.sum(axis=(1, 2)).argmax())
    picture = tile(stack, largest, 400)
    found = is_outline(picture)[: round(0.85 * picture.height)]
    shown = Image.fromarray(stack.mask[largest]).resize(picture.size, Image.Resampling.NEAREST)
    rows, columns = np.nonzero(np.asarray(shown))
    edges = np.nonzero(found)
    pixel = max(picture.size[0] / stack.mask.shape[2], picture.size[1] / stack.mask.shape[1])
    for drawn, true in zip(edges, (rows, columns), strict=True):
        assert drawn.min() == pytest.approx(true.min(), abs=pixel)
        assert drawn.max() == pytest.approx(true.max(), abs=pixel)


@every_grid
def test_round_head_is_round_whatever_the_pixels(geometry: Geometry) -> None:
    stack = stack_of(result_on(geometry))
    height, width = stack.grey.shape[1] * stack.pixel_mm[0], stack.grey.shape[2] * stack.pixel_mm[1]
    picture = tile(stack, 0, 300)
    assert picture.height / picture.width == pytest.approx(height / width, abs=0.01)


def test_thick_sagittal_stack_is_shown_in_proportion() -> None:
    geometry = grid(SAGITTAL, (48, 48, 10), (1.0, 1.0, 5.0))
    stack = stack_of(result_on(geometry))
    picture = tile(stack, int(stack.mask.sum(axis=(1, 2)).argmax()), 300)
    head = np.asarray(picture.convert("L")) > 20
    # Lines near the middle that meet no label.
    rows = np.flatnonzero(head[:, round(0.42 * picture.width)])
    columns = np.flatnonzero(head[round(0.42 * picture.height)])
    # 41 voxels of 1 mm from front to back, 8 of 5 mm from side to side.
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(41 / 40, rel=0.1)


def test_no_outline_is_drawn_without_a_tumour() -> None:
    empty = phantom_result(OBLIQUE, np.zeros(OBLIQUE.shape_kji, bool))
    assert not is_outline(preview_picture(empty)).any()
    assert is_outline(preview_picture(result_on(OBLIQUE))).any()


def test_picture_does_not_depend_on_whose_study_it_is() -> None:
    result = result_on(OBLIQUE)
    elsewhere = dataclasses.replace(result.study, sources={})
    other = dataclasses.replace(result, study=elsewhere, warnings=("DOE^JOHN is upside down.",))
    assert preview_picture(result).tobytes() == preview_picture(other).tobytes()


def test_file_is_a_png_without_text(tmp_path: Path) -> None:
    render_preview(result_on(OBLIQUE), tmp_path / "preview.png")
    with Image.open(tmp_path / "preview.png") as picture:
        assert (picture.format, picture.mode, picture.width) == ("PNG", "RGB", 1600)
        assert not picture.info


@pytest.mark.parametrize("size_ijk", [(1, 1, 1), (3, 2, 1), (64, 2, 3), (2, 64, 40)], ids=str)
def test_odd_sizes_are_drawn(size_ijk: tuple[int, int, int]) -> None:
    geometry = grid(AXIAL, size_ijk, (1.0, 1.0, 1.0))
    for mask in (np.zeros(geometry.shape_kji, bool), np.ones(geometry.shape_kji, bool)):
        result = phantom_result(geometry, mask, np.full(geometry.shape_kji, 7, np.float32))
        assert preview_picture(result).width == 1600


@pytest.mark.parametrize(
    ("total", "tumour", "expected"),
    [
        (26, range(12, 15), list(range(7, 19))),
        (26, range(10, 22), list(range(7, 25))),
        (26, range(0, 2), list(range(12))),
        (26, range(25, 26), list(range(14, 26))),
        (5, range(2, 3), [0, 1, 2, 3, 4]),
        (1, range(1), [0]),
    ],
    ids=["small", "12 slices", "at the bottom", "at the top", "few slices", "one slice"],
)
def test_slices_shown_surround_the_tumour(total: int, tumour: range, expected: list[int]) -> None:
    areas = np.zeros(total, int)
    areas[list(tumour)] = 50
    assert choose_slices(areas) == expected


def test_long_tumour_is_shown_evenly_with_its_largest_slice() -> None:
    areas = np.zeros(150, int)
    areas[40:121] = 50
    areas[83] = 60
    shown = choose_slices(areas)
    assert len(shown) == MOST_SLICES
    assert (shown[0], shown[-1]) == (39, 121)
    assert 83 in shown
    assert max(np.diff(shown)) <= 7


def test_whole_head_is_shown_without_a_tumour() -> None:
    shown = choose_slices(np.zeros(100, int))
    assert (len(shown), shown[0], shown[-1]) == (FEW_SLICES, 0, 99)


def test_stripped_background_is_black_although_brain_is_darker() -> None:
    slices = np.zeros((2, 40, 40), np.float32)
    slices[:, 10:30, 10:30] = np.random.default_rng(0).normal(0, 1, (2, 20, 20))
    grey = windowed(slices)
    assert not grey[slices == 0].any()
    assert np.median(grey[:, 10:30, 10:30]) > 60


def test_one_bright_speck_does_not_darken_the_head() -> None:
    slices = np.random.default_rng(0).uniform(0, 200, (3, 50, 50)).astype(np.float32)
    slices[0, 0, 0] = 1e6
    assert windowed(slices).mean() > 100


def test_sides_can_be_read_on_bright_skull() -> None:
    """White letters need a dark ground whatever lies behind them."""
    white = phantom_result(OBLIQUE, np.zeros(OBLIQUE.shape_kji, bool))
    stack = dataclasses.replace(stack_of(white), grey=np.full_like(stack_of(white).grey, 255))
    picture = np.asarray(tile(stack, 0, 260).convert("L")).astype(int)
    middle = picture.shape[0] // 2
    for plate in (picture[middle - 8 : middle + 8, 5:20], picture[middle - 8 : middle + 8, -20:-5]):
        assert (plate < 40).mean() > 0.4
        assert (plate > 200).mean() > 0.05
