"""Masks from probabilities, against SimpleITK's connected components."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.measurement.mask import bounding_box, label_components, mask_from_probability
from result_phantoms import AXIAL, grid

GEOMETRY = grid(AXIAL, (12, 11, 10), (1.0, 2.0, 5.0))
VOXEL_ML = 0.01


def probability_of(*voxels_kji: tuple[int, int, int]) -> np.ndarray:
    probability = np.zeros(GEOMETRY.shape_kji, np.float32)
    for voxel in voxels_kji:
        probability[voxel] = 0.7
    return probability


def test_voxel_at_the_threshold_belongs_to_the_mask() -> None:
    probability = np.zeros(GEOMETRY.shape_kji, np.float32)
    probability[2, 3, 4], probability[6, 3, 4] = 0.5, np.nextafter(np.float32(0.5), np.float32(0))
    mask = mask_from_probability(probability, GEOMETRY, 0.5, 0)
    assert mask.dtype == np.bool_
    assert np.argwhere(mask).tolist() == [[2, 3, 4]]


def test_voxels_that_touch_by_a_corner_are_one_piece() -> None:
    mask = mask_from_probability(probability_of((1, 1, 1), (2, 2, 2), (7, 7, 7)), GEOMETRY, 0.5, 2 * VOXEL_ML)
    assert np.argwhere(mask).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_piece_of_exactly_the_minimum_volume_is_kept() -> None:
    three = probability_of((0, 0, 0), (0, 0, 1), (0, 0, 2))
    assert mask_from_probability(three, GEOMETRY, 0.5, 0.03).sum() == 3
    assert mask_from_probability(three, GEOMETRY, 0.5, 0.0301).sum() == 0


def test_minimum_volume_of_zero_keeps_every_voxel() -> None:
    assert mask_from_probability(probability_of((0, 0, 0), (9, 10, 11)), GEOMETRY, 0.5, 0).sum() == 2


def test_probability_without_tumour_gives_an_empty_mask() -> None:
    assert not mask_from_probability(probability_of(), GEOMETRY, 0.5, 0.1).any()


def test_pieces_are_those_of_simpleitk() -> None:
    mask = np.random.default_rng(5).random(GEOMETRY.shape_kji) > 0.93
    labels, count = label_components(mask)
    expected = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True))
    assert count == expected.max() > 5
    assert len(set(zip(labels[mask].tolist(), expected[mask].tolist(), strict=True))) == count
    assert not labels[~mask].any()


def test_bounding_box_holds_every_voxel_and_no_more() -> None:
    mask = probability_of((2, 3, 4), (5, 3, 9)) > 0
    assert bounding_box(mask) == (slice(2, 6), slice(3, 4), slice(4, 10))
    assert bounding_box(np.zeros_like(mask)) is None


def test_probability_of_another_shape_is_refused() -> None:
    with pytest.raises(DefectError, match=r"\(3, 3, 3\).*does not fit a grid of \(10, 11, 12\).*report it"):
        mask_from_probability(np.zeros((3, 3, 3), np.float32), GEOMETRY, 0.5, 0)
