"""Worker processes of this machine for a batch: each keeps its model, and has its share of cores and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from BrainTumorSegLib.client.process import Event, WorkerProcess
from BrainTumorSegLib.engine.errors import BrainTumorSegError, Cancelled
from BrainTumorSegLib.engine.service.cohort.batch import Ended
from BrainTumorSegLib.engine.service.cohort.rows import StudyRow
from BrainTumorSegLib.engine.service.cohort.task import StudyTask
from BrainTumorSegLib.engine.settings import RunSettings

GIGABYTE = 2**30
USUAL_BYTES = round(1.5 * GIGABYTE)
"""What a worker needs for a usual study, the network included: docs/measurements.md."""
_SHARE_OF_MEMORY = 0.9
"""How much of the free memory all workers together may take."""
WORKERS_A_GPU = 2
"""One reads and writes while the other computes."""
PATIENCE_S = 600.0
"""How long a worker may say nothing about a study, or about loading its model."""
_STOPPING_S = 1.0
_LOOK_S = 0.01
_WEIGH_EVERY_S = 0.5


@dataclass(frozen=True)
class Share:
    """How many workers, and what each may take. bytes_each: beyond it a worker is ended."""

    count: int
    threads_each: int
    bytes_each: int


def share_of(count: int | None, cores: int, free_bytes: int) -> Share:
    """As many workers as there are cores and memory for, or as many as asked for.

    >>> share_of(None, cores=8, free_bytes=64 * GIGABYTE).count, share_of(None, 8, 4 * GIGABYTE).count
    (8, 2)
    """
    usable = round(_SHARE_OF_MEMORY * free_bytes)
    count = max(1, min(cores, usable // USUAL_BYTES)) if count is None else count
    return Share(count, max(1, cores // count), usable // count)


def this_machine(count: int | None) -> Share:
    """The shares of this machine's cores, those that this process may use, and of its free memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return share_of(count, cores, psutil.virtual_memory().available)


class _Worker:
    """One worker process and the study it is at."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process
        self.name: str | None = None
        self.request = ""
        self.fraction = 0.0
        self.heard_s = time.monotonic()

    def begin(self, request: Mapping[str, object], name: str | None) -> None:
        self.name, self.fraction, self.heard_s = name, 0.0, time.monotonic()
        self.request = self.process.submit(request)

    def bytes_used(self) -> int:
        try:
            return psutil.Process(self.process.pid).memory_info().rss
        except psutil.Error:
            return 0  # it has just ended, and its next event says so


class LocalWorkers:
    """Does studies in processes of this machine (see ``Workers`` in engine/service/cohort/batch.py).

    command: starts one worker. environment: theirs, but for the number of threads. count: None for as many as fit.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, count: int | None = None
    ) -> None:
        self._command, self._asked = list(command), count
        self._environment = dict(os.environ if environment is None else environment)
        self._share = Share(count or 1, 1, 0)
        self._workers: list[_Worker] = []
        self._weighed_s = 0.0

    def start(self, settings: RunSettings, is_cancelled: Callable[[], bool]) -> None:
        """Start one worker, and let it load the model. Raises what it ends with, Cancelled."""
        self._share = this_machine(self._asked)
        first = self._new_worker()
        first.begin({"command": "load", "model": settings.model, "device": settings.device}, None)
        while (answer := self._last_event(first)) is None:
            if is_cancelled():
                raise Cancelled
            time.sleep(_LOOK_S)
        if answer.name == "error":
            raise _error_of(answer)
        if self._asked is None and answer.content["device"] != "cpu":
            self._share = this_machine(WORKERS_A_GPU)

    @property
    def room(self) -> int:
        """How many more studies would be begun now."""
        return self._share.count - sum(worker.name is not None for worker in self._workers)

    @property
    def fractions(self) -> float:
        """The sum of how far each study at work is, 0-1 each."""
        return sum(worker.fraction for worker in self._workers if worker.name is not None)

    def submit(self, task: StudyTask) -> None:
        """Begin a study in a free worker, a new one if needed."""
        free = next((worker for worker in self._workers if worker.name is None), None) or self._new_worker()
        free.begin(task.request(), task.name)

    def poll(self, wait_s: float) -> list[Ended]:
        """The studies that have ended since the last call, after at most ``wait_s`` seconds."""
        deadline = time.monotonic() + wait_s
        while not (ended := [each for worker in list(self._workers) if (each := self._look_at(worker)) is not None]):
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_S)
        return ended

    def stop(self) -> None:
        """Cancel what runs, and end every process."""
        for worker in self._workers:
            worker.process.cancel(worker.request)
            worker.process.shutdown()
        deadline = time.monotonic() + _STOPPING_S
        while any(worker.process.is_running for worker in self._workers) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        for worker in self._workers:
            worker.process.kill()
        while any(worker.process.is_running for worker in self._workers):
            time.sleep(_LOOK_S)
        self._workers.clear()

    def _new_worker(self) -> _Worker:
        threads = str(self._share.threads_each)
        limits = {"OMP_NUM_THREADS": threads, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads}
        process = WorkerProcess(self._command, {**self._environment, **limits})
        process.start()
        self._workers.append(_Worker(process))
        return self._workers[-1]

    def _look_at(self, worker: _Worker) -> Ended | None:
        answer = self._last_event(worker)
        name = worker.name
        if answer is None or name is None:
            return None
        worker.name = None
        if answer.name == "done":
            return Ended(name, StudyRow.of(answer.content["row"]))
        if answer.content["kind"] in ("crashed", "silent", "memory"):
            # oneDNN, torch's library for CPUs, goes on failing in a process that got no memory once.
            self._remove(worker)
        content = answer.content
        return Ended(name, None, content["kind"], content["message"], content["action"])

    def _last_event(self, worker: _Worker) -> Event | None:
        """The last event of a worker's request, if it has come; also where the worker died, hangs or grew too large."""
        for event in worker.process.poll():
            worker.heard_s = time.monotonic()
            if event.name == "progress":
                worker.fraction = event.content["fraction"]
            elif event.is_final and event.id in (worker.request, None):
                return event
        if worker.name is not None and self._is_too_large(worker):
            return _own_error(worker, "memory", *self._too_large())
        if time.monotonic() - worker.heard_s > PATIENCE_S and worker.request:
            silence = f"The engine has not answered for {PATIENCE_S:.0f} s and was ended."
            return _own_error(worker, "silent", silence, "Look whether this study is much larger than the others.")
        return None

    def _is_too_large(self, worker: _Worker) -> bool:
        now_s = time.monotonic()
        if now_s - self._weighed_s < _WEIGH_EVERY_S and len(self._workers) == 1:
            return False
        self._weighed_s = now_s
        return worker.bytes_used() > self._share.bytes_each

    def _too_large(self) -> tuple[str, str]:
        bound = f"{self._share.bytes_each / GIGABYTE:.1f} GB"
        return (
            f"The study needed more than the {bound} of memory that each of {self._share.count} workers may take.",
            "Do it with fewer workers, or on a machine with more memory.",
        )

    def _remove(self, worker: _Worker) -> None:
        """End a worker for good: what it has left half done counts as a dead process's afterwards."""
        worker.process.kill()
        while worker.process.is_running:
            time.sleep(_LOOK_S)
        self._workers.remove(worker)


def _own_error(worker: _Worker, kind: str, message: str, action: str) -> Event:
    return Event(worker.request, "error", {"kind": kind, "message": message, "action": action})


def _error_of(event: Event) -> BrainTumorSegError:
    known = {each.kind: each for each in _subclasses(BrainTumorSegError)}
    content = event.content
    if content["kind"] == Cancelled.kind:
        return Cancelled()
    return known.get(content["kind"], BrainTumorSegError)(content["message"], content["action"])


def _subclasses(kind: type[BrainTumorSegError]) -> list[type[BrainTumorSegError]]:
    return [kind, *(below for each in kind.__subclasses__() for below in _subclasses(each))]
