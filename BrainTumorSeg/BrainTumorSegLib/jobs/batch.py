"""A folder or list of studies, in a child process with workers of its own: one row a study, also where it fails."""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from BrainTumorSegLib.client.process import Event
from BrainTumorSegLib.jobs.activity import Activity, MakeProcess, State, failureOfEvent
from BrainTumorSegLib.jobs.settings import JobSettings

logger = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""How long the child may take to end after a cancel: it tells its workers, writes the summary and ends."""


class BatchJob(Activity):
    """Segments every study of a folder or list; ``rows`` grows with each, and is the whole summary at the end.

    Results are in ``outputFolder/STUDY``, ``summary.csv`` and ``summary.html``. workerCommand: starts one engine.
    workers: how many, None for as many as the computer has room for.
    """

    def __init__(
        self,
        makeProcess: MakeProcess,
        workerCommand: Sequence[str],
        inputs: Path,
        outputFolder: Path,
        settings: JobSettings,
        resume: bool,
        workers: int | None,
    ) -> None:
        super().__init__()
        order = {
            "inputs": str(inputs),
            "output": str(outputFolder),
            "settings": settings.request(),
            "with_probability": settings.keepProbability,
            "redo": not resume,
            "workers": workers,
            "worker": list(workerCommand),
        }
        self.rows: list[dict[str, str]] = []
        self._stoppedAt_s: float | None = None
        self._process = makeProcess(["BrainTumorSegLib.client.batchChild", "batch", json.dumps(order)])
        self._process.start()

    def poll(self) -> None:
        """Take what the child has reported."""
        if self.isFinished:
            return
        for event in self._process.poll():
            self._onEvent(event)
        if self._stoppedAt_s is not None and time.monotonic() - self._stoppedAt_s > PATIENCE_S:
            self.abandon()

    def abandon(self) -> None:
        """End now. The workers end by themselves, and what is done stays."""
        self._process.kill()
        self._become(State.CANCELLED)

    def _stop(self) -> None:
        self._stoppedAt_s = time.monotonic()
        self._process.shutdown()

    def _onEvent(self, event: Event) -> None:
        if event.name == "progress":
            if "row" in event.content:
                self.rows.append(event.content["row"])
                logger.info("Study %d: %s", len(self.rows), self.rows[-1]["status"])
            self._progress(event.content["stage"], event.content["fraction"])
        elif event.name == "done":
            with Path(event.content["summary"]).open(newline="", encoding="utf-8") as stream:
                self.rows = list(csv.DictReader(stream))
            self._become(State.DONE)
        elif event.name == "error":
            self._fail(failureOfEvent(event))


class BatchPlan(Activity):
    """Looks for the studies of a folder or list, and segments nothing. ``studies`` is what was found, at the end.

    Each study: ``name``, ``files`` (paths by sequence, several where it is not clear which) and ``problem``, a sentence
    why it will not be segmented, "" where it will.
    """

    def __init__(self, makeProcess: MakeProcess, inputs: Path, outputFolder: Path) -> None:
        super().__init__()
        self.stage = "find"
        self.studies: list[dict[str, Any]] = []
        order = {"inputs": str(inputs), "output": str(outputFolder)}
        self._process = makeProcess(["BrainTumorSegLib.client.batchChild", "plan", json.dumps(order)])
        self._process.start()

    def poll(self) -> None:
        """Take what the child has found."""
        for event in self._process.poll() if not self.isFinished else ():
            if event.name == "done":
                self.studies = event.content["studies"]
                self._become(State.DONE)
            elif event.name == "error":
                self._fail(failureOfEvent(event))

    def abandon(self) -> None:
        """End the child: it has written nothing."""
        self._process.kill()
        self._become(State.CANCELLED)

    def _stop(self) -> None:
        self.abandon()
