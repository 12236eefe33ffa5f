"""Starts the engine's process and talks to it, without ever blocking: for Slicer's process, standard library only.

The protocol is that of ``engine/service/server.py``. Threads drain the child's output into a queue; whoever owns an
event loop calls ``poll`` from a timer.

    process = WorkerProcess([sys.executable, "-m", "BrainTumorSegLib", "worker"])
    process.start()
    identifier = process.submit({"command": "segment", "flair": "f.nii.gz", "output": "tumour.seg.nrrd"})
    events = process.poll()     # again and again, until one with this id is final
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from BrainTumorSegLib.engine.errors import BrainTumorSegError, Remedy

FINAL_EVENTS = frozenset({"done", "error", "pong"})
LOG_TAIL_LINES = 12
"""How much of a dead child's log is shown."""
_DEATHS_FOR_MEMORY = ("SIGKILL", "SIGABRT", "SIGSEGV", "SIGBUS")
"""How the system ends a process that takes too much, and how native code ends that does not check what it gets."""
DRAIN_S = 1.0
"""How long a dead child's pipes may stay open (a grandchild may hold them) before its end is reported."""


@dataclass(frozen=True)
class Event:
    """One event of the child.

    id: the request's, None where it belongs to none. name: progress, done, error or pong (the protocol's ``event``).
    content: the rest, such as ``stage`` and ``fraction``, ``report`` and ``files``, or ``kind``, ``message``,
    ``action`` and perhaps ``remedy``. The kind "crashed" means that the child died.
    """

    id: str | None
    name: str
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether this is the last event of its request."""
        return self.name in FINAL_EVENTS


class WorkerProcess:
    """A child process that answers JSON requests. Use from one thread; no method waits for the child.

    command: program and arguments. environment: the child's whole environment; None inherits this process's.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._environment = None if environment is None else dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count(1)
        self._pending: dict[str, None] = {}  # an ordered set
        self._is_stopping = False
        self._has_reported_end = False
        self._died_at_s: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether the child is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The child's process id, None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the child, once. Raises BrainTumorSegError if the program can't be started or was started before."""
        if self._process is not None:
            raise BrainTumorSegError("This engine process was started before.", "Make a new WorkerProcess.")
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                **_own_group(),
            )
        except OSError as error:
            raise BrainTumorSegError(
                f"The engine can't be started: {self._command[0]}: {error.strerror or error}.",
                "Check the installation, or install BrainTumorSeg again.",
            ) from error
        for target, stream in ((self._read_events, self._process.stdout), (self._read_log, self._process.stderr)):
            thread = threading.Thread(target=target, args=(stream,), name=target.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, request: Mapping[str, Any]) -> str:
        """Send a request, without id, and return the id it was given.

        If the child dies, now or later, ``poll`` tells so. Raises BrainTumorSegError before the start.
        """
        identifier = str(next(self._numbers))
        self._write({**request, "id": identifier})
        self._pending[identifier] = None
        self._has_reported_end = False  # a request to a dead child is answered too
        return identifier

    def cancel(self, target: str) -> None:
        """Ask the child to stop a request; that one ends with an error of kind "cancelled", unless it was done."""
        if target in self._pending:
            # Its id is not one that anybody waits for, so poll passes no answer on.
            self._write({"id": f"cancel-{target}", "command": "cancel", "target": target})

    def poll(self) -> list[Event]:
        """All events since the last call, in order. Once the child is dead, every open request ends with an error."""
        events = []
        is_over = self._is_over()  # before draining: nothing can arrive after it
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                if event.id is None or not event.id.startswith("cancel-"):
                    events.append(event)
        for event in events:
            if event.is_final and event.id is not None:
                self._pending.pop(event.id, None)
        if is_over and self._process is not None and not self._has_reported_end:
            self._has_reported_end = True
            _kill_tree(self._process)
            events += self._last_events(self._process.returncode)
        return events

    def shutdown(self) -> None:
        """Ask the child to end by itself: it cancels its job first. Follow with ``kill`` if it takes too long."""
        self._is_stopping = True
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        """End the child and everything it started, now. Open requests end with kind "cancelled"."""
        self._is_stopping = True
        if self._process is None:
            return
        _kill_tree(self._process)
        self.shutdown()

    def _write(self, request: Mapping[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise BrainTumorSegError("The engine process is not started.", "Start it first.")
        line = json.dumps(request).encode() + b"\n"
        # OSError: the child is dead. ValueError: shutdown has closed the pipe. poll reports the end.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read_events(self, stream: IO[bytes]) -> None:
        for line in stream:
            event = _parse(line)
            if event is None:
                self._log.append(line.decode(errors="replace").rstrip())
            else:
                self._events.put(event)

    def _read_log(self, stream: IO[bytes]) -> None:
        # Kept for a crash report only: Slicer shows what is logged in a widget, which threads must not touch.
        for line in stream:
            self._log.append(line.decode(errors="replace").rstrip())

    def _is_over(self) -> bool:
        """Whether the child is dead and all it said has been read."""
        if self._process is None or self._process.poll() is None:
            return False
        if self._died_at_s is None:
            self._died_at_s = time.monotonic()
        is_drained = not any(thread.is_alive() for thread in self._threads)
        return is_drained or time.monotonic() - self._died_at_s > DRAIN_S

    def _last_events(self, exit_code: int) -> list[Event]:
        """What the child's end means for each open request, or for none."""
        identifiers: list[str | None] = list(self._pending)
        self._pending.clear()
        if self._is_stopping:
            content = {"kind": "cancelled", "message": "Cancelled.", "action": "Nothing was written."}
        else:
            content = self._crash(exit_code)
            identifiers = identifiers or [None]
        return [Event(identifier, "error", content) for identifier in identifiers]

    def _crash(self, exit_code: int) -> dict[str, str]:
        said = f" Its last words: {' | '.join(self._log)}" if self._log else ""
        return {
            "kind": "crashed",
            "message": f"The engine's process ended unexpectedly ({_reason(exit_code)}).{said}",
            "action": "Try again. If it happens again, close other programs to free memory.",
            "remedy": Remedy.EXAMINE.value,
        }


def _parse(line: bytes) -> Event | None:
    """The event on a line, None where it is something else: Slicer's launcher may print to the same stream."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, dict) or "event" not in content:
        return None
    return Event(content.pop("id", None), content.pop("event"), content)


def _reason(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code:d}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-exit_code).name
        hint = ", perhaps out of memory" if name in _DEATHS_FOR_MEMORY else ""
        return f"stopped by {name}{hint}"
    return f"stopped by signal {-exit_code:d}"


def _own_group() -> dict[str, Any]:
    """Makes the child the head of a group of its own, so that Ctrl-C in a terminal spares it and kill finds all."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined]
    return {"start_new_session": True}


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        subprocess.Popen(
            ["taskkill", "/PID", str(process.pid), "/T", "/F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=subprocess.CREATE_NO_WINDOW,  # type: ignore[attr-defined]
        )
        return
    # The child heads its own session, so the group's id is its process id; what outlives it is still in the group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
