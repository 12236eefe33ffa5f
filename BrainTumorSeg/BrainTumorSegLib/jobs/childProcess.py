"""Where the engine's Python is, and the environment it starts in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError

MODULE_FOLDER = Path(__file__).resolve().parents[2]
"""The folder that holds BrainTumorSeg.py and BrainTumorSegLib."""

MIRROR_VARIABLE = "BRAINTUMORSEG_MIRROR"


def pythonExecutable() -> str:
    """Slicer's own Python as a program of its own; outside Slicer, the Python that runs this.

    Raises InputError where neither is there.
    """
    # In Slicer sys.executable is the application, which would open a second window.
    found = shutil.which("PythonSlicer")
    if found is None and Path(sys.executable).stem.lower().startswith("python"):
        found = sys.executable
    if found is None:
        raise InputError(
            "Slicer's own Python (PythonSlicer) was not found beside the application.",
            "Install Slicer again, or start it by its own launcher.",
        )
    return found


def engineCommand(*arguments: str) -> list[str]:
    """The command line that runs ``python -m BrainTumorSegLib`` with these arguments."""
    return [pythonExecutable(), "-m", "BrainTumorSegLib", *arguments]


def childEnvironment(base: Mapping[str, str], mirror: str = "") -> dict[str, str]:
    """``base`` with this package on the child's path and, where one is set, the mirror for models.

    The environment of Slicer's own process stays as it is.
    """
    environment = dict(base)
    earlier = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(MODULE_FOLDER), *([earlier] if earlier else [])])
    environment["PYTHONIOENCODING"] = "utf-8"
    environment["PYTHONUNBUFFERED"] = "1"
    if mirror:
        environment[MIRROR_VARIABLE] = mirror
    return environment
