"""What the panel can show and cancel: one piece of work that runs elsewhere, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from BrainTumorSegLib.engine.errors import (
    BrainTumorSegError,
    Cancelled,
    GeometryError,
    InputError,
    MemoryExhaustedError,
    ModelError,
    OutputError,
    Remedy,
)
from BrainTumorSegLib.worker import Event

_ERRORS = (InputError, GeometryError, OutputError, ModelError, MemoryExhaustedError)


class State(enum.Enum):
    """Where a piece of work is; the last three are final."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Failure:
    """Why it failed, in words for the user.

    kind: as in engine.errors, or "crashed" for a dead process. remedy: what the panel has a control for, if anything.
    """

    kind: str
    message: str
    action: str
    remedy: Remedy | None = None

    def __str__(self) -> str:
        return f"{self.message} {self.action}".strip()


def failureOf(error: BrainTumorSegError) -> Failure:
    """An error raised here as a failure to show."""
    return Failure(error.kind, error.message, error.action, error.remedy)


def failureOfEvent(event: Event) -> Failure:
    """The error with which a child process has ended a request."""
    content = event.content
    remedy = content.get("remedy")
    return Failure(content["kind"], content["message"], content["action"], Remedy(remedy) if remedy else None)


class Activity:
    """Work in another process, followed from here: state, stage and fraction, with one listener for all changes.

    stage: word of the protocol, such as "segment". fraction: 0-1 of the whole.
    """

    def __init__(self) -> None:
        self.state = State.RUNNING
        self.stage = "start"
        self.fraction = 0.0
        self.failure: Failure | None = None
        self.onChanged: Callable[[], None] = lambda: None

    @property
    def isFinished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in (State.DONE, State.FAILED, State.CANCELLED)

    def cancel(self) -> None:
        """Ask for the end; the state becomes CANCELLED when it has come."""
        if self.state is State.RUNNING:
            self._become(State.CANCELLING)
            self._stop()

    def raiseIfFailed(self) -> None:
        """Raise the error that ended this: Cancelled, or what ``failure`` says; return if it went well."""
        if self.state is State.CANCELLED:
            raise Cancelled
        if self.failure is not None:
            known = {each.kind: each for each in _ERRORS}
            failure = self.failure
            raise known.get(failure.kind, BrainTumorSegError)(failure.message, failure.action, failure.remedy)

    def poll(self) -> None:
        """Take a step; called again and again until the end."""
        raise NotImplementedError

    def abandon(self) -> None:
        """End now, without waiting for the other process to agree."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Begin to end what runs."""
        raise NotImplementedError

    def _progress(self, stage: str, fraction: float) -> None:
        self.stage, self.fraction = stage, max(self.fraction, min(1.0, fraction))
        self.onChanged()

    def _fail(self, failure: Failure) -> None:
        if failure.kind == "cancelled" or self.state is State.CANCELLING:
            self._become(State.CANCELLED)
        else:
            self.failure = failure
            self._become(State.FAILED)

    def _become(self, state: State) -> None:
        if not self.isFinished:
            self.state = state
            self.onChanged()
