"""Following a child process that does one thing and reports it: on the models, or the installation of packages."""

from __future__ import annotations

from collections.abc import Callable

from BrainTumorSegLib.jobs.activity import Activity, State, failureOfEvent
from BrainTumorSegLib.worker import Event, WorkerProcess

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
        return cls(makeProcess, action, ["BrainTumorSegLib.jobs.modelChild", "models", action, *operands])

    @classmethod
    def installing(cls, makeProcess: MakeProcess, pipArguments: list[str]) -> ChildWork:
        """An installation by pip."""
        return cls(makeProcess, "install", ["BrainTumorSegLib.jobs.installChild", "install", *pipArguments])

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
