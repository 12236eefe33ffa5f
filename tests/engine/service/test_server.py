"""The worker as other programs see it: a real child process, JSON lines in and out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.errors import Cancelled, GeometryError, InputError, Remedy
from BrainTumorSegLib.engine.service.requests import parse_job
from BrainTumorSegLib.engine.service.server import Request, Send, ThrottledProgress, serve
from command import COMMAND, child_environment


class Child:
    """A worker process and its two pipes."""

    def __init__(self, command: list[str], home: Path) -> None:
        self.process = subprocess.Popen(
            command,
            env=child_environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def send(self, line: str | dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def last(self, identifier: str) -> dict[str, Any]:
        """The request's last event; progress on the way is skipped."""
        while (event := self.receive())["id"] != identifier or event["event"] == "progress":
            pass
        return event


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child([*COMMAND, "worker"], tmp_path)
    yield child
    child.process.kill()
    child.process.communicate()


def test_ping_is_answered_with_the_version(child: Child) -> None:
    child.send({"id": "1", "command": "ping"})
    assert child.receive() == {"id": "1", "event": "pong", "version": __version__}


def test_shutdown_is_answered_and_ends_the_process_well(child: Child) -> None:
    child.send({"id": "9", "command": "shutdown"})
    assert child.receive() == {"id": "9", "event": "done"}
    assert child.process.wait(timeout=60) == 0


def test_end_of_input_ends_the_process_well(child: Child) -> None:
    out, err = child.process.communicate(timeout=60)
    assert (child.process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "A line is not JSON"),
        ("[1, 2]", "not an object"),
        ('{"command": "ping"}', "A request's id is None"),
        ('{"id": 7, "command": "ping"}', "A request's id is 7"),
        ('{"id": "7"}', "A request's command is None"),
        ("\udcff\udcfe", "A line is not JSON"),
        pytest.param("[" * 100_000, "A line is nested too deeply", id="brackets"),
    ],
)
def test_line_that_is_no_request_is_answered_and_work_goes_on(child: Child, line: str, message: str) -> None:
    assert child.process.stdin is not None
    child.process.stdin.buffer.write(line.encode(errors="surrogateescape") + b"\n\n")
    event = child_after_flush(child)
    assert (event["event"], event["kind"]) == ("error", "input")
    assert message in event["message"]
    child.send({"id": "1", "command": "ping"})
    assert child.receive()["event"] == "pong"


def child_after_flush(child: Child) -> dict[str, Any]:
    assert child.process.stdin is not None
    child.process.stdin.flush()
    return child.receive()


def test_unknown_command_is_refused_with_the_known_ones(child: Child) -> None:
    child.send({"id": "1", "command": "paint"})
    event = child.receive()
    assert (event["id"], event["event"], event["kind"]) == ("1", "error", "input")
    assert "There is no command 'paint'." in event["message"]
    assert "segment" in event["action"]


def test_missing_file_is_an_input_error(child: Child, tmp_path: Path) -> None:
    request = {"flair": str(tmp_path / "gone.nii"), "output": str(tmp_path / "o.seg.nrrd")}
    child.send({"id": "1", "command": "segment", **request})
    event = child.last("1")
    assert (event["event"], event["kind"]) == ("error", "input")
    assert "gone.nii does not exist" in event["message"]
    assert event["action"]


@pytest.mark.skipif(os.name != "posix", reason="only Unix has names that are no text")
def test_a_name_of_another_character_set_does_not_end_the_worker(child: Child, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode("Müller".encode("latin-1"))
    folder.mkdir()
    (folder / "flair.nii").touch()
    request = {"flair": str(folder / "flair.nii"), "output": str(tmp_path / "o.seg.nrrd")}
    child.send({"id": "1", "command": "segment", **request})
    event = child.last("1")
    assert (event["event"], event["kind"]) == ("error", "input")
    assert r"M\xfcller/flair.nii can't be read" in event["message"]
    child.send({"id": "2", "command": "ping"})
    assert child.receive()["event"] == "pong"


def test_doctor_reports_findings(child: Child) -> None:
    child.send({"id": "1", "command": "doctor"})
    event = child.last("1")
    if event["event"] == "error":
        pytest.skip(f"there is no index of models yet: {event['message']}")
    assert event["event"] == "done"
    assert {"name", "status", "message", "remedy"} == set(event["findings"][0])


NOISY = """
import os, sys
from BrainTumorSegLib.cli.main import main
import BrainTumorSegLib.engine.service.run as job

def noisy(self):
    print("printed by Python")
    os.system("echo printed by another program")
    raise job.InputError("Seen enough.", "Stop.")

job.SegmentJob.check = noisy
sys.exit(main(["worker"]))
"""


def test_what_the_engine_prints_never_reaches_the_protocol(tmp_path: Path) -> None:
    flair = tmp_path / "flair.nii"
    flair.touch()
    child = Child([sys.executable, "-c", NOISY], tmp_path)
    child.send({"id": "1", "command": "segment", "flair": str(flair), "output": str(tmp_path / "o.seg.nrrd")})
    assert child.last("1")["message"] == "Seen enough."
    out, err = child.process.communicate(timeout=60)
    assert out == ""
    assert "printed by Python" in err
    assert "printed by another program" in err


# The server itself, with work that the test controls.


class Server:
    """A server on pipes in a thread, with one command "work" that runs ``do``."""

    def __init__(self, do: Callable[[Request, Send, Callable[[], bool]], None]) -> None:
        read_end, write_end = os.pipe()
        self.requests = os.fdopen(write_end, "wb", buffering=0)
        self.events = io.StringIO()
        self.thread = threading.Thread(target=serve, args=(os.fdopen(read_end, "rb"), self.events, {"work": do}))
        self.thread.start()

    def send(self, identifier: str, command: str, **content: str) -> None:
        self.requests.write(json.dumps({"id": identifier, "command": command, **content}).encode() + b"\n")

    def end(self) -> list[dict[str, Any]]:
        """Close the input, wait for the end, and return all events."""
        self.requests.close()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        return [json.loads(line) for line in self.events.getvalue().splitlines()]

    def wait_for(self, text: str) -> None:
        give_up_at = time.monotonic() + 60
        while text not in self.events.getvalue():
            assert time.monotonic() < give_up_at, f"{text} never came: {self.events.getvalue()}"
            time.sleep(0.005)


def until_cancelled(_request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
    send("progress", stage="segment", fraction=0.5)
    give_up_at = time.monotonic() + 60
    while not is_cancelled():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)
    raise Cancelled


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["id"], event.get("kind", event["event"])) for event in events]


def test_cancel_ends_the_running_job_and_ping_works_meanwhile() -> None:
    server = Server(until_cancelled)
    server.send("1", "work")
    server.wait_for("progress")
    server.send("2", "ping")
    server.wait_for("pong")
    server.send("3", "cancel", target="1")
    server.wait_for("cancelled")
    assert sorted(kinds(server.end())) == [("1", "cancelled"), ("1", "progress"), ("2", "pong"), ("3", "done")]


def test_waiting_job_can_be_cancelled_before_it_starts() -> None:
    server = Server(until_cancelled)
    server.send("1", "work")
    server.wait_for("progress")
    server.send("2", "work")
    server.send("3", "cancel", target="2")
    server.wait_for('"3"')
    server.send("4", "cancel", target="1")
    events = kinds(server.end())
    assert ("2", "cancelled") in events
    assert ("2", "progress") not in events
    assert events.index(("1", "cancelled")) < events.index(("2", "cancelled"))


def test_an_error_says_which_remedy_front_ends_have_a_control_for() -> None:
    def lie_apart(_request: Request, _send: Send, _is_cancelled: Callable[[], bool]) -> None:
        raise GeometryError("They lie apart.", "Register them.", Remedy.REGISTER)

    server = Server(lie_apart)
    server.send("1", "work")
    server.wait_for("geometry")
    described = {"kind": "geometry", "message": "They lie apart.", "action": "Register them.", "remedy": "register"}
    assert server.end() == [{"id": "1", "event": "error", **described}]


class NoRoom(io.BytesIO):
    """Requests of which the second finds no room in memory, once the first is being worked on."""

    def __init__(self, started: threading.Event) -> None:
        super().__init__(b'{"id": "1", "command": "work"}\n')
        self._started = started

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line:
            assert self._started.wait(20)
            raise MemoryError
        return line


def test_a_worker_that_can_not_read_any_more_ends_instead_of_hearing_nothing(caplog: pytest.LogCaptureFixture) -> None:
    started, events = threading.Event(), io.StringIO()

    def work(request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        started.set()
        until_cancelled(request, send, is_cancelled)

    with pytest.raises(MemoryError):
        serve(NoRoom(started), events, {"work": work})
    assert kinds([json.loads(line) for line in events.getvalue().splitlines()])[-1] == ("1", "cancelled")
    assert "No further request can be read: MemoryError" in caplog.text


def test_cancel_of_something_unknown_says_so() -> None:
    server = Server(until_cancelled)
    server.send("1", "cancel", target="0")
    assert server.end() == [{"id": "1", "event": "done", "found": False}]


def test_end_of_input_cancels_the_running_and_the_waiting_job() -> None:
    server = Server(until_cancelled)
    server.send("1", "work")
    server.send("2", "work")
    server.wait_for("progress")
    assert kinds(server.end())[-2:] == [("1", "cancelled"), ("2", "cancelled")]


def test_jobs_run_one_after_another_in_order() -> None:
    server = Server(lambda request, send, _is_cancelled: send("done", said=request["word"]))
    for identifier, word in (("1", "first"), ("2", "second"), ("3", "third")):
        server.send(identifier, "work", word=word)
    server.wait_for("third")
    assert [event["said"] for event in server.end()] == ["first", "second", "third"]


def test_id_in_use_is_refused() -> None:
    server = Server(until_cancelled)
    server.send("1", "work")
    server.wait_for("progress")
    server.send("1", "work")
    server.wait_for("still being worked on")
    server.end()


def test_an_id_can_be_used_again_as_soon_as_its_last_event_is_out() -> None:
    again = threading.Event()

    class Listener(io.StringIO):
        """Asks again with the same id while the last event is still being written."""

        def write(self, text: str) -> int:
            written = super().write(text)
            if '"done"' in text and not again.is_set():
                again.set()
                os.write(write_end, b'{"id": "1", "command": "work"}\n')
                # The reading thread takes it now: the event's own lock is held, so no answer can tell when.
                give_up_at = time.monotonic() + 60
                while len(seen) < 2 and time.monotonic() < give_up_at:
                    time.sleep(0.005)
                os.close(write_end)
            return written

    class Requests(io.BufferedReader):
        def readline(self, size: int | None = -1) -> bytes:
            seen.append(super().readline(size))
            return seen[-1]

    seen: list[bytes] = []
    read_end, write_end = os.pipe()
    os.write(write_end, b'{"id": "1", "command": "work"}\n')
    events = Listener()
    serve(Requests(io.FileIO(read_end)), events, {"work": lambda _request, send, _is_cancelled: send("done")})
    first, second = kinds([json.loads(line) for line in events.getvalue().splitlines()])
    assert first == ("1", "done")
    assert second in (("1", "done"), ("1", "cancelled")), "the end of input cancels, but nothing is refused"


def test_defect_in_one_job_is_told_and_the_next_one_works(caplog: pytest.LogCaptureFixture) -> None:
    def fail_once(request: Request, send: Send, _is_cancelled: Callable[[], bool]) -> None:
        if request["id"] == "1":
            raise ValueError("patient-name.nii is odd")
        send("done")

    server = Server(fail_once)
    server.send("1", "work")
    server.send("2", "work")
    server.wait_for('"2"')
    first, second = server.end()
    assert (first["kind"], second["event"]) == ("defect", "done")
    assert "ValueError at server.py" in caplog.text
    assert "patient-name" not in caplog.text


def test_reader_that_went_away_ends_the_server() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    thread = threading.Thread(target=serve, args=(io.BytesIO(b'{"id": "1", "command": "ping"}\n'), Gone(), {}))
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_progress_is_sent_when_it_says_something_new() -> None:
    sent: list[float] = []
    progress = ThrottledProgress(lambda _event, stage, fraction: sent.append(fraction))
    for thousandth in range(1001):
        progress("segment", thousandth / 1000)
    assert 90 <= len(sent) <= 110
    assert (sent[0], sent[-1]) == (0.0, 1.0)


FULL: Request = {
    "id": "1",
    "command": "segment",
    "flair": "f.nii",
    "t1": None,
    "t1c": "c.nii",
    "register": "on",
    "output": "o.seg.nrrd",
    "probability": None,
    "report": "r.json",
    "preview": None,
    "model": None,
    "device": "cpu",
    "threshold": 0.4,
    "gate": 0,
    "min_volume_ml": None,
    "tta": False,
}


def test_segment_request_becomes_a_job() -> None:
    job = parse_job(FULL)
    assert (job.inputs.flair, job.inputs.t1, job.inputs.t1c) == (Path("f.nii"), None, Path("c.nii"))
    assert (job.outputs.segmentation, job.outputs.report) == (Path("o.seg.nrrd"), Path("r.json"))
    assert (job.settings.threshold, job.settings.gate, job.settings.tta) == (0.4, 0, False)
    assert (job.settings.model, job.settings.device, job.settings.register) == (None, "cpu", "on")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flair": None}, "lacks the field 'flair'"),
        ({"output": None}, "lacks the field 'output'"),
        ({"tresh": 0.5}, "no field 'tresh'"),
        ({"threshold": "0.5"}, "'threshold' is '0.5', which is no float"),
        ({"tta": 1}, "'tta' is 1, which is no bool"),
        ({"report": ""}, "'report' is '', which is no path"),
        ({"flair": "a\0b"}, "'flair' is .*, which is no path"),
        ({"gate": True}, "'gate' is True, which is no float"),
        ({"threshold": 2.0}, "The threshold is 2.0"),
    ],
)
def test_wrong_field_is_named(change: Request, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_job({**FULL, **change})
