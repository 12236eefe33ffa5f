"""A signal at any moment of a real process ends it with exit code 5 and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import COMMAND, child_environment
from pace import pace

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="looks into Linux's /proc")

# Loads what takes a moment, as torch does: never asks whether it should stop.
SLOW = """
import sys, time
from pathlib import Path
from BrainTumorSegLib.cli import sample
from BrainTumorSegLib.cli.stopping import insisting, stop_requests
from BrainTumorSegLib.engine.files import atomic_path

def work(arguments):
    target = arguments.folder / "o.nrrd"
    with stop_requests() as is_cancelled, insisting(is_cancelled), atomic_path(target) as temporary:
        temporary.touch()
        print("begun", flush=True)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                time.sleep(0.01)
            except KeyboardInterrupt as error:
                raise ImportError("a library makes of it what it likes") from error
    return 0

sample._run = work
from BrainTumorSegLib.__main__ import run
run()
"""


def heeds_signals() -> None:
    """In a child before it starts: whoever runs the tests may ignore them, as nohup does."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    begun: list[subprocess.Popen[str]] = []

    def begin(command: list[str], setup: object = heeds_signals) -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                command,
                env=child_environment(tmp_path),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
                preexec_fn=setup,
            )
        )
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.communicate()


def wait_until_caught(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Until the process has a handler of its own for this signal."""
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (number - 1) & 1:
            return
    raise AssertionError("no handler was set")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_moments_end_as_any_other(tmp_path: Path, start, number: signal.Signals) -> None:
    process = start([*COMMAND, "worker"])
    wait_until_caught(process, signal.SIGHUP)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (5, "braintumorseg: Cancelled. Nothing was written.\n")


def test_the_handlers_are_there_before_the_command_line_is_loaded(tmp_path: Path) -> None:
    script = "import sys\nimport BrainTumorSegLib.__main__\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], env=child_environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert not {"argparse", "BrainTumorSegLib.cli.main", "logging", "numpy"} & set(run.stdout.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_work_that_never_asks_is_ended_and_leaves_nothing(tmp_path: Path, start, number: signal.Signals) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    process = start([sys.executable, "-c", SLOW, "sample", str(folder)])
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    asked_at = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (5, "braintumorseg: Cancelled. Nothing was written.\n")
    assert time.monotonic() - asked_at < 3 * pace(), "0.5 s of patience, and what a busy machine takes"
    assert os.listdir(folder) == []


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, start) -> None:
    process = start([*COMMAND, "sample", str(tmp_path / "study")], lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_until_caught(process, signal.SIGTERM)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0


HOME = """
import sys
sys.argv = ["braintumorseg", "models", "verify"]
import os
os._exit = sys.exit
from BrainTumorSegLib.__main__ import run
try:
    run()
finally:
    try:
        import matplotlib.pyplot
        print("matplotlib was imported")
    except ImportError:
        print("no matplotlib")
"""


def test_matplotlib_which_writes_into_the_home_is_not_loaded(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HOME], env=child_environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "no matplotlib"
