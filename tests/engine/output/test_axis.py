"""Axes end at round numbers and say few of many."""

from __future__ import annotations

import pytest

from BrainTumorSegLib.engine.output.axis import numbered, round_ceiling


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (0.7, 0.8), (1.0, 1.0), (99.0, 100.0), (1010.0, 1200.0), (2404.0, 3000.0), (9001.0, 10000.0)],
)
def test_axis_of_areas_ends_at_a_round_number(value: float, expected: float) -> None:
    assert round_ceiling(value) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1]), (4, [1, 2, 3, 4]), (26, [1, *range(2, 27, 2)]), (180, [1, *range(10, 181, 10)])]
)
def test_first_and_round_slices_have_their_number(count: int, expected: list[int]) -> None:
    assert [index + 1 for index in numbered(count, 20)] == expected


@pytest.mark.parametrize("count", [1, 2, 7, 60, 999, 19_000])
def test_never_more_numbers_than_there_is_room_for(count: int) -> None:
    assert 1 <= len(numbered(count, 20)) <= 21
