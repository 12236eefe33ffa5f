"""The engine as a process that stays warm: JSON requests in, JSON events out, one object a line.

Requests carry ``id`` and ``command``:

- ``segment`` with ``flair``, ``output`` and, each optional or null, ``t1``, ``t1c``, ``register``, ``probability``,
  ``report``, ``preview``, ``dicom_seg``, ``page``, ``lesions``, ``slices``, ``model``, ``device``, ``threshold``,
  ``gate``, ``min_volume_ml``, ``tta``;
- ``study``, one study of a batch (``engine/service/cohort/task.py``): ``study``, ``folder``, ``batch``, ``inputs_key``,
  ``flair`` and, each optional, ``t1``, ``t1c``, ``with_probability`` and the settings; answered by its ``row``;
- ``load`` with ``model`` and ``device``, each optional: loads the network and says the ``device``;
- ``hand_over`` with ``flair``, ``labelmap``, ``report`` (an object) and, each optional or null, ``probability``,
  ``corrected_by`` ("" for somebody without a name), ``series`` (a list of files or folders), ``picture_3d``,
  ``reviewed``, ``dicom_seg``, ``page``, ``lesions``, ``slices``: files of a segmentation as it is now, answered by its
  ``report`` and ``files``;
- ``compare`` with ``first`` and ``second``, two labelmap files, and, each optional, ``first_image``, ``second_image``
  (what they were outlined on) and ``register``: answered by its ``comparison``, and the ``motion`` that laid the second
  study onto the first, or null;
- ``refine`` with ``flair``, ``probability``, ``labelmap``, ``strokes`` (labels 1 tumour, 2 background), ``output`` and,
  optional, ``reviewed`` (slices from 0 that never change) and ``min_volume_ml``: answered by ``changed_voxels`` and
  ``files``;
- ``explain`` with ``flair``, ``output``, ``slice`` (from 0) and, each optional, ``t1``, ``t1c``, ``model``,
  ``register``: answered by ``files``;
- ``cancel`` with ``target``, the id of a segment request; ``ping``; ``doctor``; ``shutdown``.

Every request is answered by exactly one last event: ``done``, ``pong`` or ``error`` (``kind``, ``message``,
``action`` and, where there is one, ``remedy``; a cancelled job has kind "cancelled"). ``progress`` events (``stage``,
``fraction``) come before. One job runs at a time, further ones wait. End of input means shutdown. A line that is no
request is answered by an error whose id is null.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.errors import BrainTumorSegError, Cancelled, InputError
from BrainTumorSegLib.engine.foreign_errors import translate

logger = logging.getLogger(__name__)

PROGRESS_STEP = 0.01
"""Progress is sent when the stage changes or the fraction grew by this much: a panel shows no more."""

Request = dict[str, Any]
Send = Callable[..., None]
"""send(event, **content) for one request."""
Work = Callable[[Request, Send, Callable[[], bool]], None]
"""work(request, send, is_cancelled) does one request that takes time and sends its last event."""


def claim_stdin() -> BinaryIO:
    """A private copy of standard input.

    The reading thread may still wait on it when the process ends: on ``sys.stdin`` itself that is a fatal error.
    """
    return os.fdopen(os.dup(0), "rb")


def claim_stdout() -> TextIO:
    """A private copy of standard output for the protocol; whatever else prints there goes to stderr from now on."""
    sys.stdout.flush()
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    return protocol


def serve(requests: BinaryIO, events: TextIO, work: dict[str, Work]) -> None:
    """Answer requests until shutdown or end of input; ``work`` maps each command that takes time to what does it.

    Jobs run on the calling thread, and requests are read on another, so that cancel and ping work during a job. Raises
    what ended the reading early, such as MemoryError, once every job has been cancelled and answered.
    """
    server = _Server(events, work)
    threading.Thread(target=server.read, args=(requests,), name="requests", daemon=True).start()
    try:
        server.run()
    finally:
        server.cancel_all()
    if server.failure is not None:
        raise server.failure


class _Server:
    def __init__(self, events: TextIO, work: dict[str, Work]) -> None:
        self._events = events
        self._work = work
        self._write_lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._cancelled: dict[str, threading.Event] = {}
        self.failure: Exception | None = None
        self._commands: dict[str, Callable[[Request], bool]] = {
            "ping": self._ping,
            "cancel": self._cancel,
            "shutdown": self._shutdown,
            **dict.fromkeys(work, self._enqueue),
        }

    def run(self) -> None:
        """Do the queued jobs, one after another, until told to stop."""
        while (job := self._jobs.get()) is not None:
            job()

    def read(self, requests: BinaryIO) -> None:
        """Take requests until shutdown or end of input.

        If that fails, as it does where not even a line finds room in memory, the worker ends: better than a worker
        that hears nothing and never answers.
        """
        try:
            going_on = True
            while going_on and (line := requests.readline()):
                going_on = self._take(line) if line.strip() else True
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be asked
            self.failure = error
            logger.error("No further request can be read: %s", type(error).__name__)
        finally:
            # Without memory for the first, the second must still be tried: a worker that waits for ever hangs its user.
            try:
                self.cancel_all()
            finally:
                self._jobs.put(None)

    def cancel_all(self) -> None:
        """Ask every job, running or waiting, to stop."""
        for event in list(self._cancelled.values()):
            event.set()

    def _take(self, line: bytes) -> bool:
        """Answer or queue one line. Returns whether to go on reading."""
        identifier = None
        try:
            request = _parse(line)
            identifier = request["id"]
            command = self._commands.get(request["command"])
            if command is None:
                raise InputError(
                    f"There is no command {request['command']!r}.", f"Use one of {', '.join(sorted(self._commands))}."
                )
            return command(request)
        except InputError as error:
            self._send(identifier, "error", **_described(error))
            return True

    def _ping(self, request: Request) -> bool:
        self._send(request["id"], "pong", version=__version__)
        return True

    def _shutdown(self, request: Request) -> bool:
        self._send(request["id"], "done")
        return False

    def _cancel(self, request: Request) -> bool:
        """Answers at once whether the target was still running or waiting; the target's own error follows."""
        event = self._cancelled.get(str(request.get("target")))
        if event is not None:
            event.set()
        self._send(request["id"], "done", found=event is not None)
        return True

    def _enqueue(self, request: Request) -> bool:
        identifier = request["id"]
        if identifier in self._cancelled:
            raise InputError(f"Request {identifier!r} is still being worked on.", "Give every request its own id.")
        self._cancelled[identifier] = threading.Event()
        self._jobs.put(partial(self._do, request))
        return True

    def _do(self, request: Request) -> None:
        """Do one request that takes time; whatever goes wrong in it is told, and the worker goes on."""
        identifier = request["id"]
        cancelled = self._cancelled[identifier]

        def send(event: str, **content: Any) -> None:
            if event != "progress":
                # Before the last event goes out: who reads it may use the id again at once.
                self._free(identifier, cancelled)
            self._send(identifier, event, **content)

        try:
            if cancelled.is_set():
                raise Cancelled
            self._work[request["command"]](request, send, cancelled.is_set)
        except Exception as error:  # noqa: BLE001 - a defect in one job must not end the worker
            if not isinstance(error, BrainTumorSegError):
                logger.error("%s at %s", type(error).__name__, _places(error))
            send("error", **_described(translate(error)))
        finally:
            self._free(identifier, cancelled)

    def _free(self, identifier: str, cancelled: threading.Event) -> None:
        """Give back a request's id, unless another request has it by now."""
        if self._cancelled.get(identifier) is cancelled:
            del self._cancelled[identifier]

    def _send(self, identifier: str | None, event: str, **content: Any) -> None:
        line = json.dumps({"id": identifier, "event": event, **content}, allow_nan=False)
        with self._write_lock:
            try:
                self._events.write(line + "\n")
                self._events.flush()
            except OSError:
                # Nobody listens any more: end as at the end of input.
                self.cancel_all()
                self._jobs.put(None)


class ThrottledProgress:
    """Passes on progress when it says something new."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._stage = ""
        self._fraction = 0.0

    def __call__(self, stage: str, fraction: float) -> None:
        """Report the stage and the fraction of the whole run, 0-1."""
        if stage != self._stage or fraction - self._fraction >= PROGRESS_STEP or fraction >= 1.0:
            self._stage, self._fraction = stage, fraction
            self._send("progress", stage=stage, fraction=round(fraction, 4))


def _parse(line: bytes) -> Request:
    """One request. Raises InputError unless it is a JSON object with an id and a command, both texts."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise InputError(f"A line is not JSON: {error}.", "Send one JSON object a line.") from error
    except RecursionError as error:
        raise InputError("A line is nested too deeply.", "Send one flat JSON object a line.") from error
    if not isinstance(request, dict):
        raise InputError("A line is JSON, but not an object.", "Send one JSON object a line.")
    for key in ("id", "command"):
        if not isinstance(request.get(key), str):
            raise InputError(f"A request's {key} is {request.get(key)!r}, not a text.", f"Send {key} as a text.")
    return request


def _described(error: BrainTumorSegError) -> dict[str, str]:
    described = {"kind": error.kind, "message": error.message, "action": error.action}
    return described | ({"remedy": error.remedy.value} if error.remedy else {})


def _places(error: Exception) -> str:
    """Where it happened, without the message or the source: either may hold a path, and that a patient's name."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
