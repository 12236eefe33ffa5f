"""Running the real command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "BrainTumorSegLib"]


def child_environment(home: Path) -> dict[str, str]:
    """This process's environment, with the package on the path and a model folder of its own."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "BrainTumorSeg"), "BRAINTUMORSEG_HOME": str(home)}


def run_command(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``braintumorseg ARGUMENTS``, with stdout and stderr as text."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=child_environment(home),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
