"""Where the engine's Python is, and the environment it starts in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError

MODULE_FOLDER = Path(__file__).resolve().parents[2]
"""The folder that holds BrainTumorSeg.py and BrainTumorSegLib."""

MIRROR_VARIABLE = "BRAINTUMORSEG_MIRROR"


WINDOWS_PYTHON = "python-real.exe"


def pythonExecutable(isWindows: bool = os.name == "nt") -> str:
    """Slicer's own Python as a program of its own; outside Slicer, the Python that runs this.

    Raises InputError where neither is there.
    """
    # In Slicer sys.executable is the application, which would open a second window.
    found = shutil.which("PythonSlicer")
    # PythonSlicer is a launcher. On Unix it hands its input on (commontk/AppLauncher pull request 100), which there was
    # found not to work on Windows, and the engine lives by its input. So there we start what it would start.
    if found is not None and isWindows and Path(found).with_name(WINDOWS_PYTHON).is_file():
        return str(Path(found).with_name(WINDOWS_PYTHON))
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


def baseEnvironment(program: str, startup: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """What a child's environment starts from.

    startup: gives the environment from before Slicer's launcher (slicer.util.startupEnvironment), which PythonSlicer
    completes by itself. What we start without a launcher needs what Slicer's own launcher has set.
    """
    return os.environ if Path(program).name == WINDOWS_PYTHON else startup()


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
