"""A batch: every study of a cohort through workers, each done once, whatever happens on the way."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from BrainTumorSegLib.engine.errors import Cancelled, InputError, ModelError, OutputError
from BrainTumorSegLib.engine.service.cohort.find import BATCH_FILE
from BrainTumorSegLib.engine.service.cohort.page import PAGE_NAME, write_page
from BrainTumorSegLib.engine.service.cohort.results import (
    SUMMARY_NAME,
    Asked,
    Summary,
    alone_in,
    clear_leftovers,
    open_results,
    wait_for_orphans,
)
from BrainTumorSegLib.engine.service.cohort.rows import DONE, StudyRow, failed_row
from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles
from BrainTumorSegLib.engine.service.cohort.task import StudyTask
from BrainTumorSegLib.engine.settings import DEVICE, MODEL, RunSettings

logger = logging.getLogger(__name__)

WAIT_S = 0.1
"""How long a look at the workers may take: cancelling is noticed this fast."""
_ENGINE_KINDS = {error.kind: error for error in (ModelError, OutputError)}
"""What no other study would fare better with."""
_MAY_FARE_BETTER_ALONE = {"memory", "crashed", "silent"}


@dataclass(frozen=True)
class Ended:
    """The end of a study in a worker: its row if it is done, else why not (kind, message and action of the error)."""

    name: str
    row: StudyRow | None = None
    kind: str = ""
    message: str = ""
    action: str = ""


class Workers(Protocol):
    """What does studies, several at once. All methods return soon, but for ``start``."""

    def start(self, settings: RunSettings, is_cancelled: Callable[[], bool]) -> None:
        """Get ready to work. Raises BrainTumorSegError where no study could be done, Cancelled."""

    @property
    def room(self) -> int:
        """How many more studies would be begun now."""

    @property
    def fractions(self) -> float:
        """The sum of how far each study at work is, 0-1 each."""

    def submit(self, task: StudyTask) -> None:
        """Begin a study."""

    def poll(self, wait_s: float) -> list[Ended]:
        """The studies that have ended since the last call, after at most ``wait_s`` seconds."""

    def stop(self) -> None:
        """End all work within two seconds."""


@dataclass(frozen=True)
class Batch:
    """What to do: which studies, where to, how. models: SHA-256 of the weights by name."""

    studies: tuple[StudyFiles, ...]
    folder: Path
    settings: RunSettings
    models: dict[str, str] = field(default_factory=dict)
    with_probability: bool = False
    redo: bool = False

    def asked(self) -> Asked:
        """What two calls must agree in to be one batch; the device changes no more than rounding."""
        left_out = {DEVICE.name, MODEL.name}
        settings = {name: value for name, value in vars(self.settings).items() if name not in left_out}
        return Asked({**settings, "with_probability": self.with_probability}, self.models)


@dataclass(frozen=True)
class Step:
    """How far a batch is. row: of the study that has just ended, if one has. fraction: 0-1 of all."""

    ended: int
    total: int
    fraction: float
    row: StudyRow | None = None


@dataclass(frozen=True)
class Outcome:
    """What a batch came to. earlier: how many of the studies that are done were so before."""

    done: int
    failed: int
    earlier: int
    summary: Path
    page: Path

    def __str__(self) -> str:
        before = f" ({self.earlier} of them before)" if self.earlier else ""
        return f"{_counted(self.done + self.failed)}: {self.done} done{before}, {self.failed} failed."


def run_batch(
    batch: Batch, workers: Workers, on_step: Callable[[Step], None], is_cancelled: Callable[[], bool]
) -> Outcome:
    """Do the studies that are not done yet, keep what each comes to, and write the summary and its page.

    A study that fails is a row and never stops the others. Raises InputError where the folder can't be used for this
    batch (see ``open_results``), ModelError, OutputError and what ``workers.start`` raises where no further study could
    be done, Cancelled; whatever was done until then is kept.
    """
    _refuse_results_among_inputs(batch)
    _refuse_other_files(batch.folder)
    with alone_in(batch.folder):
        wait_for_orphans(batch.folder)
        clear_leftovers(batch.folder)
        return _Run(batch, workers, on_step, is_cancelled).whole()


def _refuse_results_among_inputs(batch: Batch) -> None:
    folder = batch.folder.resolve()
    for study in batch.studies:
        for paths in study.candidates.values():
            if any(path.resolve().is_relative_to(folder / study.name) for path in paths):
                raise InputError(
                    f"The files of {study.name} lie where its results would: in {folder / study.name}.",
                    "Choose another folder for the results.",
                )


def _refuse_other_files(folder: Path) -> None:
    """A user's own table or page, called as a batch calls its own, is never replaced."""
    for name in (SUMMARY_NAME, PAGE_NAME):
        if (folder / name).exists() and not (folder / BATCH_FILE).exists():
            raise InputError(
                f"{folder / name} is there already, and is no result of a batch.",
                "Choose another folder for the results.",
            )


class _Run:
    def __init__(
        self, batch: Batch, workers: Workers, on_step: Callable[[Step], None], is_cancelled: Callable[[], bool]
    ) -> None:
        self._batch, self._workers, self._on_step, self._is_cancelled = batch, workers, on_step, is_cancelled
        self._results = open_results(batch.folder, batch.asked(), batch.redo)
        self._summary = Summary(batch.folder)
        self._counts = {"done": 0, "failed": 0, "earlier": 0}
        self._at_work: dict[str, tuple[StudyTask, float]] = {}
        self._studies = {study.name: study for study in batch.studies}
        self._alone: deque[StudyTask] = deque()
        self._tried_alone: set[str] = set()

    def whole(self) -> Outcome:
        to_do, problems, done = self._sorted()
        self._summary.write(done)
        try:
            for row in done:
                self._count(row)
                self._counts["earlier"] += 1
            for study in problems:
                sentence, _, remedy = study.problem.partition(". ")
                self._fail(study, f"{sentence}.", remedy)
            if to_do:
                self._work(to_do)
        finally:
            self._summary.write(self._results.rows())
            page = write_page(self._batch.folder, self._results.rows())
        return Outcome(**self._counts, summary=self._summary.path, page=page)

    def _sorted(self) -> tuple[deque[StudyTask], list[StudyFiles], list[StudyRow]]:
        """What is to be done, what can't be, what is done."""
        to_do: deque[StudyTask] = deque()
        problems, done = [], []
        for study in self._batch.studies:
            try:
                row = self._results.done_row(study)
                if row is not None:
                    done.append(row)
                elif study.problem:
                    problems.append(study)
                else:
                    to_do.append(self._task(study))
            except OSError as error:
                text = f"Its files can't be looked at: {error.strerror}. Check them, and their permissions."
                problems.append(StudyFiles(study.name, study.candidates, text))
        return to_do, problems, done

    def _task(self, study: StudyFiles) -> StudyTask:
        batch = self._batch
        key = study.inputs_key()
        files = {role: path.absolute() for role, path in study.files.items()}
        folder = batch.folder.absolute()
        return StudyTask(study.name, folder, self._results.batch, key, files, batch.settings, batch.with_probability)

    def _work(self, to_do: deque[StudyTask]) -> None:
        try:
            self._workers.start(self._batch.settings, self._is_cancelled)
            while to_do or self._alone or self._at_work:
                if self._is_cancelled():
                    raise Cancelled
                self._submit(to_do)
                for ended in self._workers.poll(WAIT_S):
                    self._take(ended)
                self._tell()
        finally:
            self._workers.stop()
            clear_leftovers(self._batch.folder)

    def _submit(self, to_do: deque[StudyTask]) -> None:
        while to_do and self._workers.room > 0:
            self._begin(to_do.popleft())
        if not to_do and not self._at_work and self._alone:
            self._begin(self._alone.popleft())

    def _begin(self, task: StudyTask) -> None:
        self._at_work[task.name] = (task, time.monotonic())
        self._workers.submit(task)

    def _take(self, ended: Ended) -> None:
        task, begun_s = self._at_work.pop(ended.name)
        if ended.row is not None:
            self._keep(ended.row)
            return
        if ended.kind in _ENGINE_KINDS:
            raise _ENGINE_KINDS[ended.kind](ended.message, ended.action)
        if ended.kind in _MAY_FARE_BETTER_ALONE and ended.name not in self._tried_alone:
            logger.info("A study ended with %s and is tried once more, alone", ended.kind)
            self._tried_alone.add(ended.name)
            self._alone.append(task)
            return
        self._fail(self._studies[ended.name], ended.message, ended.action, time.monotonic() - begun_s)

    def _fail(self, study: StudyFiles, message: str, remedy: str, seconds: float = 0.0) -> None:
        row = failed_row(study, self._batch.settings, message, remedy, seconds)
        self._results.write_failure(study, row)
        self._keep(row)

    def _keep(self, row: StudyRow) -> None:
        self._summary.add(row)
        self._count(row)
        logger.info("Study %d of %d: %s", self._ended, len(self._studies), row.status)
        self._tell(row)

    def _count(self, row: StudyRow) -> None:
        self._counts["done" if row.status == DONE else "failed"] += 1

    @property
    def _ended(self) -> int:
        return self._counts["done"] + self._counts["failed"]

    def _tell(self, row: StudyRow | None = None) -> None:
        total = len(self._studies)
        fraction = min(1.0, (self._ended + self._workers.fractions) / total) if total else 1.0
        self._on_step(Step(self._ended, total, fraction, row))


def _counted(count: int) -> str:
    return "1 study" if count == 1 else f"{count} studies"
