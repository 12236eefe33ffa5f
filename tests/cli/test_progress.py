import os
import subprocess
import sys

import pytest

from command import REPOSITORY

SCRIPT = """
from BrainTumorSegLib.cli.progress import byte_bar, stage_bar
with stage_bar() as on_progress:
    on_progress("read", 0.0)
    on_progress("segment", 0.5)
    on_progress("write", 1.0)
with byte_bar("lgg") as on_bytes:
    on_bytes(500_000, 2_000_000)
    on_bytes(2_000_000, 2_000_000)
"""


def run_script(stderr: int) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "BrainTumorSeg")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=stderr, env=environment, timeout=60, check=True
    )


def test_progress_is_silent_in_a_pipe() -> None:
    run = run_script(subprocess.PIPE)
    assert (run.stdout, run.stderr) == (b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python's library")
def test_progress_is_drawn_on_a_terminal() -> None:
    import pty
    import termios

    ours, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    run = run_script(terminal)
    drawn = os.read(ours, 65536).decode()
    os.close(terminal)
    os.close(ours)
    assert run.stdout == b""
    assert "Reading" in drawn
    assert "%" in drawn
    assert "lgg" in drawn
