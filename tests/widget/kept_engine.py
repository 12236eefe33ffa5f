"""Engine processes that outlive a test, for the next one that wants just such a process.

Starting one, with its imports, takes longer than most tests of the panel. Only a process that was asked for nothing
when the panel gave it up is kept; one that a test killed, left at work or saw die is never used again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from BrainTumorSegLib.client.process import WorkerProcess

OF_ONE_TEST = "PYTEST_CURRENT_TEST"


class KeptProcess(WorkerProcess):
    """A process that goes on when it is given up idle."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        super().__init__(command, environment)
        self.is_in_use = False

    def start(self) -> None:
        """Start it, unless it runs from before."""
        self.is_in_use = True
        if not self.is_running:
            super().start()

    def kill(self) -> None:
        """Give it up: it ends if it is at work."""
        self.is_in_use = False
        if self._pending:
            super().kill()

    def end(self) -> None:
        """End it, idle or not."""
        super().kill()


class KeptEngines:
    """Makes processes, or gives those that are kept.

    program: the engine's; a process of any other program is made as usual.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._kept: dict[tuple[object, ...], KeptProcess] = {}

    def make(self, command: Sequence[str], environment: Mapping[str, str]) -> WorkerProcess:
        """A process of this command in this environment, running or not yet started."""
        environment = {name: value for name, value in environment.items() if name != OF_ONE_TEST}
        key = (*command, *sorted(environment.items()))
        kept = self._kept.get(key)
        if kept is not None and kept.is_running:
            return WorkerProcess(command, environment) if kept.is_in_use else kept
        if self._program not in command:
            return WorkerProcess(command, environment)
        self._kept[key] = KeptProcess(command, environment)
        return self._kept[key]

    def end(self) -> None:
        """End all."""
        for each in self._kept.values():
            each.end()
