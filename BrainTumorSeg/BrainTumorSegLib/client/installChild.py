"""Installing from a folder of wheels in a child process: ``python -m BrainTumorSegLib.client.installChild ID ARGS``.

For hospitals without internet. Runs ``python -m ARGS`` and answers on stdout in the worker's protocol; pip's own words
go to stderr, so that the last of them are shown if it dies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run pip and tell how it ended. Returns the exit status, pip's own."""
    identifier, *command = arguments
    finished = subprocess.run(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    sys.stderr.write(finished.stdout)
    if finished.returncode == 0:
        answer = {"event": "done", "models": [], "message": "The packages are installed."}
    else:
        errors = [line for line in finished.stdout.splitlines() if line.startswith("ERROR")]
        answer = {
            "event": "error",
            "kind": "packages",
            "message": f"pip could not install from the folder: {' '.join(errors[-2:]) or 'see the log'}",
            "action": "Put the wheels of all needed packages for Slicer's Python into the folder; see the guide.",
        }
    sys.stdout.write(json.dumps({"id": identifier, **answer}) + "\n")
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
