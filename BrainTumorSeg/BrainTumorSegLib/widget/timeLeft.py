"""How long a job will still take, from how far it got since when."""

from __future__ import annotations

MINIMUM_FRACTION = 0.05
"""Before this the estimate jumps about, so none is given."""


class TimeLeft:
    """Seconds left by the mean pace since the start of the work, never of the loading before it."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None

    def update(self, fraction: float, now_s: float) -> float | None:
        """Seconds left at ``fraction`` (0-1) done at ``now_s``; None while there is too little to go by."""
        if self._start is None:
            self._start = (fraction, now_s)
        firstFraction, firstTime_s = self._start
        done = fraction - firstFraction
        if done < MINIMUM_FRACTION:
            return None
        return (now_s - firstTime_s) / done * (1.0 - fraction)
