"""What the panel can show and cancel: one piece of work that runs elsewhere, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from BrainTumorSegLib.client.process import Event, WorkerProcess
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
        if self.isFinished:
            return  # a child that has said why it fails ends, which is no second failure
        if failure.kind == "cancelled" or self.state is State.CANCELLING:
            self._become(State.CANCELLED)
        else:
            self.failure = failure
            self._become(State.FAILED)

    def _become(self, state: State) -> None:
        if not self.isFinished:
            self.state = state
            self.onChanged()


MakeProcess = Callable[[list[str]], WorkerProcess]
"""Builds a child, not started yet, that runs ``python -m`` with these arguments."""


class ChildWork(Activity):
    """One child and how it goes. states: afterwards, "installed", "not installed" or "damaged" by model name.

    action: a word for what it does. arguments: what the child's Python gets after ``-m``.
    """

    def __init__(self, makeProcess: MakeProcess, action: str, arguments: list[str]) -> None:
        super().__init__()
        self.action = action
        self.stage = action if action in ("download", "install") else "models"
        self.states: dict[str, str] = {}
        self.message = ""
        self._process = makeProcess(arguments)
        self._process.start()

    @classmethod
    def onModels(cls, makeProcess: MakeProcess, action: str, *operands: str) -> ChildWork:
        """list, download, import, verify, remove or removeAll, as ``modelChild`` knows them."""
        return cls(makeProcess, action, ["BrainTumorSegLib.client.modelChild", "models", action, *operands])

    @classmethod
    def installing(cls, makeProcess: MakeProcess, pipArguments: list[str]) -> ChildWork:
        """An installation by pip."""
        return cls(makeProcess, "install", ["BrainTumorSegLib.client.installChild", "install", *pipArguments])

    def poll(self) -> None:
        """Take what the child has reported."""
        if self.isFinished:
            return
        for event in self._process.poll():
            self._onEvent(event)
            if self.isFinished:
                self._process.kill()
                return

    def abandon(self) -> None:
        """End the child: it leaves nothing half done."""
        self._process.kill()
        self._become(State.CANCELLED)

    def _stop(self) -> None:
        # A transfer is resumable and a file appears whole or not at all, so there is nothing to wait for.
        self.abandon()

    def _onEvent(self, event: Event) -> None:
        if event.name == "progress":
            self._progress(event.content["stage"], event.content["fraction"])
        elif event.name == "done":
            self.states = {each["name"]: each["state"] for each in event.content["models"]}
            self.message = event.content["message"]
            self._become(State.DONE)
        elif event.name == "error":
            self._fail(failureOfEvent(event))
