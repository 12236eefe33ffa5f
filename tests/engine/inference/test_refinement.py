from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from BrainTumorSegLib.engine.inference.preprocessing import coarsen
from BrainTumorSegLib.engine.inference.refinement import LOGIT_LIMIT, LOGIT_UNIT, StudyView, refine

Array = npt.NDArray[np.float32]


def _sequences(slices: int) -> Array:
    """A head of 0 in rows 40-199 and columns 60-179 of air, -1."""
    sequences = np.full((3, slices, 256, 256), -1, np.float32)
    sequences[:, :, 40:200, 60:180] = 0
    return sequences


def _logits(slices: int) -> Array:
    return np.random.default_rng(2).normal(0, 3, (slices, 256, 256)).astype(np.float32).clip(-8, 8)


def test_a_correction_of_nothing_leaves_limited_logits_as_they_are() -> None:
    logits = 4 * _logits(6)
    corrected = refine(lambda views: np.zeros((2, 1, *views.shape[2:]), np.float32), _sequences(6), logits, 1)
    np.testing.assert_array_equal(corrected, logits.clip(-LOGIT_LIMIT, LOGIT_LIMIT))


def test_the_network_sees_means_of_blocks_around_the_head() -> None:
    logits = _logits(3)
    view = StudyView.of(_sequences(3), logits, 1)
    # Rows 10-49 and columns 15-44 of 64 hold the head; with its margin that is 48 and 32 of them.
    assert (view.box.rows, view.box.columns) == (slice(6, 54), slice(14, 46))
    assert view.array.shape == (4, 3, 48, 32)
    inside = coarsen(logits, 64)[:, 6:54, 14:46]
    np.testing.assert_allclose(view.array[3] * LOGIT_UNIT, inside, atol=1e-5)


def test_thin_slices_are_seen_as_slabs_of_a_neighbour_distance() -> None:
    logits = _logits(12)
    view = StudyView.of(_sequences(12), logits, 5)
    assert view.array.shape[1] == 3
    # The last slab has two slices of its own; the last of them is repeated.
    expected = coarsen(logits[[10, 11, 11, 11, 11]], 64).mean(axis=0)[view.box.rows, view.box.columns]
    np.testing.assert_allclose(view.array[3, 2] * LOGIT_UNIT, expected, atol=1e-5)


@pytest.mark.parametrize("step", [1, 3])
def test_a_correction_is_added_where_it_belongs(step: int) -> None:
    view = StudyView.of(_sequences(9), _logits(9), step)
    correction = np.zeros(view.array.shape[1:], np.float32)
    correction[1:2] = 5
    spread = view.spread(correction)
    assert spread.shape == (9, 256, 256)
    middle = step + step // 2
    rows, columns = (slice(4 * one.start, 4 * one.stop) for one in (view.box.rows, view.box.columns))
    assert (spread[middle, rows, columns] == 5).all()
    spread[:, rows, columns] = 0
    assert not spread.any()


def test_study_and_mirror_image_count_half_each() -> None:
    seen: list[Array] = []

    def correct(views: Array) -> Array:
        seen.extend(views)
        correction = np.zeros((2, 1, *views.shape[2:]), np.float32)
        correction[..., 0] = 2.0
        return correction

    logits = np.zeros((4, 256, 256), np.float32)
    corrected = refine(correct, _sequences(4), logits, 1)
    np.testing.assert_array_equal(seen[1], seen[0][..., ::-1])
    box = StudyView.of(_sequences(4), logits, 1).box
    for column in (4 * box.columns.start, 4 * box.columns.stop - 1):
        np.testing.assert_allclose(corrected[:, 4 * box.rows.start : 4 * box.rows.stop, column], 1.0)


def test_a_study_of_air_is_seen_whole() -> None:
    view = StudyView.of(np.full((3, 2, 256, 256), -1, np.float32), _logits(2), 1)
    assert view.array.shape == (4, 2, 64, 64)
