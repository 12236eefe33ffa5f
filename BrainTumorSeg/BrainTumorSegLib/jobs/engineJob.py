"""What every job of the warm engine process has in common: a folder of its own, steps, and an end in every case."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from BrainTumorSegLib.client.process import Event
from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import BrainTumorSegError, OutputError
from BrainTumorSegLib.jobs.activity import Activity, Failure, State, failureOf, failureOfEvent

logger = logging.getLogger(__name__)

CANCEL_PATIENCE_S = 3.0
"""How long the engine may take to stop by itself before its process is ended."""

_CANCELLED = Failure("cancelled", "Cancelled.", "")


class EngineJob(Activity):
    """From the scene through the engine and back, one step at a time and never waiting.

    The first step is ``_begin``. A step that goes on says so by ``_then`` (in a turn of the event loop of its own) or
    ``_ask`` (once the engine has answered); one that does neither is the last. folder: a new one below
    ``temporaryPath``, removed at the end, whatever the end is.
    """

    def __init__(self, session: EngineSession, temporaryPath: str) -> None:
        super().__init__()
        self._session, self._temporaryPath = session, temporaryPath
        self._madeFolder: Path | None = None
        self._request = ""
        self._cancelledAt_s: float | None = None
        self._steps: deque[Callable[[], None]] = deque([self._begin])

    def poll(self) -> None:
        """Take a step, or end a process that does not answer a cancel."""
        if self._steps:
            self._do(self._steps.popleft())
            if not (self._steps or self._request or self.isFinished):
                self._finish(None)
        elif self._cancelledAt_s is not None and time.monotonic() - self._cancelledAt_s > CANCEL_PATIENCE_S:
            self.abandon()

    def abandon(self) -> None:
        """End at once, together with the engine's process: for a closed scene, a reload and the application's exit."""
        self._session.stop()
        self._finish(_CANCELLED)

    @property
    def folder(self) -> Path:
        """Where the job's files lie; made when it is first asked for. Raises OutputError."""
        if self._madeFolder is None:
            self._madeFolder = _newFolder(self._temporaryPath)
        return self._madeFolder

    def _begin(self) -> None:
        """The first step; it may raise BrainTumorSegError, as every step."""
        raise NotImplementedError

    def _then(self, step: Callable[[], None]) -> None:
        """Go on with this step at the next turn."""
        self._steps.append(step)

    def _ask(
        self,
        request: dict[str, Any],
        then: Callable[[dict[str, Any]], None],
        otherwise: Callable[[Failure], None] | None = None,
    ) -> None:
        """Send the engine a request and go on with what it answers; its refusal ends the job, or goes to otherwise."""
        self._request = self._session.submit(request, partial(self._onEvent, then, otherwise))

    def _onEvent(
        self, then: Callable[[dict[str, Any]], None], otherwise: Callable[[Failure], None] | None, event: Event
    ) -> None:
        if event.name == "progress":
            self._progress(event.content["stage"], event.content["fraction"])
            return
        self._request = ""
        if self.state is State.CANCELLING:
            self._finish(_CANCELLED)
        elif event.name == "error":
            failure = failureOfEvent(event)
            if otherwise is not None:
                self._then(partial(otherwise, failure))
            else:
                self._finish(failure)
        elif event.name == "done":
            self._then(partial(then, event.content))

    def _do(self, step: Callable[[], None]) -> None:
        """Take a step that may raise; nothing gets past here into Slicer's event loop."""
        try:
            step()
        except BrainTumorSegError as error:
            self._finish(failureOf(error))
        except Exception as error:  # noqa: BLE001 - a defect here must end this job, not repeat at every poll
            # The frames alone: a message may hold a path, and a path a patient's name.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("Defect in a job: %s\n%s", type(error).__name__, frames)
            action = "Please report it with 'Copy diagnostics'."
            self._finish(Failure("defect", f"Something unforeseen went wrong ({type(error).__name__}).", action))

    def _stop(self) -> None:
        if self._request:
            self._cancelledAt_s = time.monotonic()
            self._session.cancel(self._request)
        else:
            self._finish(_CANCELLED)

    def _finish(self, failure: Failure | None) -> None:
        self._cancelledAt_s, self._request = None, ""
        self._steps.clear()
        if self._madeFolder is not None:
            # The volumes of a patient: never left behind, even if one file is still open in a dying process.
            shutil.rmtree(self._madeFolder, ignore_errors=True)
        if failure is None:
            self._become(State.DONE)
            return
        logger.info("Job ended: %s", failure.kind)
        self._fail(failure)


def _newFolder(parent: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="BrainTumorSeg-", dir=parent))
    except OSError as error:
        raise OutputError(
            f"Slicer's temporary folder can't be written to: {error.strerror}.",
            "Free space there, or choose another temporary folder in Edit / Application Settings / General.",
        ) from error
