"""The n-th pixel without the plane, against np.nonzero."""

from __future__ import annotations

import numpy as np
import pytest

from brain_tumor_training.data.packed_pixels import PackedPixels


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (16, 8), (9, 33), (256, 256)])
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_pixels_are_numbered_as_numpy_numbers_them(shape: tuple[int, int], share: float) -> None:
    shown = np.random.default_rng(0).random(shape) < share
    shown[:2] = False
    shown[-1, -1] = True
    pixels = PackedPixels.of(shown)
    expected = list(zip(*np.nonzero(shown), strict=True))
    assert len(pixels) == len(expected)
    numbers = np.unique(np.linspace(0, len(expected) - 1, 200).astype(int))
    assert [pixels.place(int(number)) for number in numbers] == [expected[number] for number in numbers]


def test_nothing_shown_has_no_pixels() -> None:
    assert len(PackedPixels.of(np.zeros((4, 4), bool))) == 0


def test_a_slice_takes_a_seventh_of_itself() -> None:
    """So that the heads of 4,000 slices, in both variants, take 76 MB where their coordinates would take 2 GB."""
    pixels = PackedPixels.of(np.ones((256, 256), bool))
    assert pixels.ends.nbytes + pixels.bits.nbytes <= 256 * 256 / 7
