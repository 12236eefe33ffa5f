"""Round numbers for the axes of drawings."""

from __future__ import annotations

import math

_ROUND = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def round_ceiling(value: float) -> float:
    """The smallest number with a round half that is at least ``value``: 2,404 gives 3,000, 0 gives 0."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if step * power >= value)


def numbered(count: int, most: int) -> list[int]:
    """Which of ``count`` things, from 0, have their number, from 1, on the axis: the first and ``most`` others."""
    step = next((step for step in _STEPS if count <= step * most), _STEPS[-1])
    return [index for index in range(count) if index == 0 or (index + 1) % step == 0]
