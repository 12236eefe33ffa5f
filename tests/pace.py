"""How fast this machine is just now: limits of wall time that hold on an idle one are stretched by it."""

from __future__ import annotations

import subprocess
import sys
import time

IDLE_START_S = 0.05
"""What the start and end of a Python process takes at most on an idle machine of two cores."""


def pace() -> float:
    """How many times slower than an idle machine this one is: 1 at least."""
    begun_s = time.monotonic()
    for _ in range(3):
        subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return max(1.0, (time.monotonic() - begun_s) / 3 / IDLE_START_S)
