"""Padding is told from what was measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.study.padding import without_padding
from BrainTumorSegLib.engine.study.reading import study_from_images
from head_phantom import head

Array = npt.NDArray[np.float32]


def head_array() -> Array:
    return sitk.GetArrayFromImage(head()).astype(np.float32)


@pytest.mark.parametrize("value", [-32768, -500, 2000, 32767, 65535])
@pytest.mark.parametrize("rows", [2, 6, 16])
def test_padded_rows_become_the_lowest_measured_value(value: float, rows: int) -> None:
    array = head_array()
    array[:, :rows] = value
    found, warnings = without_padding("FLAIR", array)
    np.testing.assert_array_equal(found[:, rows:], array[:, rows:])
    assert (found[:, :rows] == array[:, rows:].min()).all()
    assert len(warnings) == 1
    assert f"FLAIR: {rows * 48 * 20} voxels have the value {value:g}, far from all others" in warnings[0]


def test_padding_at_both_ends_is_taken_away() -> None:
    array = head_array()
    array[:, :3], array[:, -3:] = -32768, 32767
    found, warnings = without_padding("FLAIR", array)
    assert (found.min(), found.max()) == (array[:, 3:-3].min(), array[:, 3:-3].max())
    assert len(warnings) == 2


def brain_in_a_constant(value: float) -> Array:
    array = head_array()
    inside = array > 200
    return np.where(inside, array, np.float32(value)).astype(np.float32)


def one_bright_spot() -> Array:
    array = head_array()
    array[0, 0, 0] = 30000
    return array


def bright_box_inside() -> Array:
    array = head_array()
    array[8:12, 20:30, 20:30] = 30000
    return array


def even_lesion_at_the_top() -> Array:
    array = head_array()
    array[-2:, 20:30, 20:30] = 30000
    return array


def air_at_0_far_from_tissue() -> Array:
    """In a field of view so tight that air is less than a fifth of it."""
    array = np.random.default_rng(1).integers(80, 115, (12, 40, 40)).astype(np.float32)
    array[:, :3] = array[:, :, :3] = 0
    return array


@pytest.mark.parametrize(
    "array",
    [
        head_array(),
        head_array() - 5000,
        head_array().clip(0),
        brain_in_a_constant(0),
        brain_in_a_constant(-10000),
        one_bright_spot(),
        bright_box_inside(),
        even_lesion_at_the_top(),
        air_at_0_far_from_tissue(),
    ],
    ids=["head", "negative", "air at 0", "masked with 0", "masked far below", "spike", "implant", "lesion", "tight"],
)
def test_what_was_measured_or_masked_stays_without_a_word(array: Array) -> None:
    found, warnings = without_padding("FLAIR", array)
    assert found is array
    assert warnings == ()


def test_networks_see_a_padded_study_as_they_see_the_one_without() -> None:
    image = head(size_ijk=(64, 64, 24))
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    array[:, :3] = -32768
    padded = sitk.GetImageFromArray(array)
    padded.CopyInformation(image)
    study = study_from_images(padded)
    seen, expected = prepare(study).sequences, prepare(study_from_images(image)).sequences
    assert np.abs(seen - expected).mean() < 0.05
    assert any("padding" in warning for warning in study.warnings)
