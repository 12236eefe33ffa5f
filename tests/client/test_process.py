"""The client that lives in Slicer's process, against real children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from BrainTumorSegLib import __version__
from BrainTumorSegLib.client.process import Event, WorkerProcess
from BrainTumorSegLib.engine.errors import BrainTumorSegError
from command import COMMAND, child_environment
from pace import pace

Start = Callable[[list[str]], WorkerProcess]

DEAF = "import time; time.sleep(60)"
DYING = (
    "import sys; print('no memory for this', file=sys.stderr); sys.stderr.flush(); sys.stdin.readline(); sys.exit(7)"
)
CHATTY = (
    "import sys; print('Slicer launcher 5.13'); print('[1, 2]'); "
    'print(\'{"id": "1", "event": "done"}\', flush=True); sys.stdin.read()'
)
WITH_GRANDCHILD = (
    "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    'print(\'{"id": "1", "event": "done", "pid": %d}\' % p.pid, flush=True); p.wait()'
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def make(command: list[str]) -> WorkerProcess:
        process = WorkerProcess(command, child_environment(tmp_path))
        started.append(process)
        process.start()
        return process

    yield make
    for process in started:
        process.kill()
        wait_until(lambda process=process: not process.is_running)  # type: ignore[misc]


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def wait_until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def poll_until_final(process: WorkerProcess, identifier: str | None) -> Event:
    found: list[Event] = []

    def look() -> bool:
        found.extend(event for event in process.poll() if event.id == identifier and event.is_final)
        return bool(found)

    wait_until(look)
    assert len(found) == 1
    return found[0]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_worker_answers_and_ends_when_told_to(start: Start) -> None:
    process = start([*COMMAND, "worker"])
    event = poll_until_final(process, process.submit({"command": "ping"}))
    assert (event.name, event.content) == ("pong", {"version": __version__})
    process.shutdown()
    wait_until(lambda: not process.is_running)
    assert process.poll() == []


def test_error_of_the_engine_comes_with_kind_message_and_action(start: Start, tmp_path: Path) -> None:
    process = start([*COMMAND, "worker"])
    request = {"command": "segment", "flair": str(tmp_path / "gone.nii"), "output": str(tmp_path / "o.seg.nrrd")}
    event = poll_until_final(process, process.submit(request))
    assert (event.name, event.content["kind"]) == ("error", "input")
    assert "gone.nii does not exist" in event.content["message"]
    assert event.content["action"]


def test_answer_to_a_cancel_is_nobodys_event(start: Start, tmp_path: Path) -> None:
    process = start([*COMMAND, "worker"])
    request = {"command": "segment", "flair": str(tmp_path / "gone.nii"), "output": str(tmp_path / "o.seg.nrrd")}
    target = process.submit(request)
    process.cancel(target)
    ping = process.submit({"command": "ping"})
    seen: set[str | None] = set()

    def look() -> bool:
        seen.update(event.id for event in process.poll())
        return {target, ping} <= seen

    wait_until(look)
    assert seen == {target, ping}


def test_nothing_blocks_when_the_child_does_not_answer(start: Start) -> None:
    process = start(script(DEAF))
    process.submit({"command": "ping"})
    started = time.perf_counter()
    for _ in range(100):
        assert process.poll() == []
    process.kill()
    assert time.perf_counter() - started < pace()


def test_dead_child_is_a_crash_with_exit_code_and_last_words(start: Start) -> None:
    process = start(script(DYING))
    event = poll_until_final(process, process.submit({"command": "ping"}))
    assert (event.name, event.content["kind"]) == ("error", "crashed")
    assert "exit code 7" in event.content["message"]
    assert "no memory for this" in event.content["message"]
    assert "Try again" in event.content["action"]
    assert process.poll() == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_child_killed_from_outside_ends_every_open_request(start: Start) -> None:
    process = start(script(DEAF))
    first, second = process.submit({"command": "ping"}), process.submit({"command": "ping"})
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    events: list[Event] = []

    def look() -> bool:
        events.extend(process.poll())
        return len(events) == 2

    wait_until(look)
    assert [event.id for event in events] == [first, second]
    assert all("SIGKILL, perhaps out of memory" in event.content["message"] for event in events)


def test_child_that_dies_with_nothing_to_do_is_told_once(start: Start) -> None:
    process = start(script("raise SystemExit(3)"))
    assert "exit code 3" in poll_until_final(process, None).content["message"]
    assert process.poll() == []


def test_request_to_a_dead_child_is_answered(start: Start) -> None:
    process = start(script("raise SystemExit(3)"))
    poll_until_final(process, None)
    assert poll_until_final(process, process.submit({"command": "ping"})).content["kind"] == "crashed"


def test_kill_ends_open_requests_as_cancelled(start: Start) -> None:
    process = start(script(DEAF))
    identifier = process.submit({"command": "ping"})
    process.kill()
    assert poll_until_final(process, identifier).content["kind"] == "cancelled"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_kill_ends_what_the_child_started_too(start: Start) -> None:
    process = start(script(WITH_GRANDCHILD))
    grandchild = poll_until_final(process, "1").content["pid"]
    assert is_alive(grandchild)
    process.kill()
    wait_until(lambda: not is_alive(grandchild))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_what_a_dead_child_left_behind_is_ended(start: Start) -> None:
    process = start(script(WITH_GRANDCHILD))
    grandchild = poll_until_final(process, "1").content["pid"]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert poll_until_final(process, None).content["kind"] == "crashed"
    wait_until(lambda: not is_alive(grandchild))


def test_foreign_lines_on_stdout_are_not_events(start: Start) -> None:
    process = start(script(CHATTY))
    assert poll_until_final(process, "1") == Event("1", "done", {})


def test_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    process = WorkerProcess([str(tmp_path / "no-python")])
    with pytest.raises(BrainTumorSegError, match="can't be started.* Check the installation"):
        process.start()


def test_request_before_the_start_is_refused() -> None:
    with pytest.raises(BrainTumorSegError, match="not started.* Start it first"):
        WorkerProcess(["python"]).submit({"command": "ping"})


def test_second_start_is_refused(start: Start) -> None:
    process = start(script(DEAF))
    with pytest.raises(BrainTumorSegError, match="started before.* Make a new WorkerProcess"):
        process.start()


OWNER = """
import sys, time
from BrainTumorSegLib.client.process import WorkerProcess
process = WorkerProcess(sys.argv[1:])
process.start()
print(process.pid, flush=True)
time.sleep(600)
"""


def test_a_worker_whose_owner_is_killed_ends_by_itself(tmp_path: Path) -> None:
    """As when Slicer crashes: nobody is left to end the worker, but its input ends."""
    command = [sys.executable, "-c", OWNER, *COMMAND, "worker"]
    owner = subprocess.Popen(command, env=child_environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = int(owner.stdout.readline())
    assert is_alive(worker)
    owner.kill()
    owner.communicate()
    wait_until(lambda: not is_alive(worker))
