"""Threads that wait leave their core to others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = str(Path(__file__).parents[2] / "BrainTumorSeg")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torch brings another OpenMP library elsewhere")


@pytest.mark.parametrize(("given", "expected"), [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_waiting_threads_give_up_their_core_soon_unless_somebody_chose(given: dict[str, str], expected: str) -> None:
    """OpenMP says which settings it has taken, once torch has loaded it."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {
        "OMP_DISPLAY_ENV": "VERBOSE",
        "PYTHONPATH": str(Path(__file__).parents[2] / "BrainTumorSeg"),
        **given,
    }
    command = [sys.executable, "-m", "BrainTumorSegLib", "doctor"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120).stderr
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", said)) == {expected}
