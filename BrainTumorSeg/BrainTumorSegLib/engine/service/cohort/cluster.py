"""A batch on a Dask cluster: the studies go to its workers, which see the same folders and have the model."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.engine.errors import BrainTumorSegError, Cancelled, InputError, ModelError
from BrainTumorSegLib.engine.foreign_errors import translate
from BrainTumorSegLib.engine.service.cohort.batch import Ended
from BrainTumorSegLib.engine.service.cohort.results import read_record
from BrainTumorSegLib.engine.service.cohort.rows import DONE, StudyRow
from BrainTumorSegLib.engine.service.cohort.task import StudyTask, do_study
from BrainTumorSegLib.engine.service.run import SegmenterCache, SegmentJob, run_job
from BrainTumorSegLib.engine.settings import RunSettings

try:
    from distributed import Client, Future, Worker, WorkerPlugin, get_worker, wait
except ModuleNotFoundError as error:
    raise InputError(
        "A batch on a cluster needs the Python package distributed.",
        'Install it: python -m pip install "brain-tumor-seg[cluster]".',
    ) from error

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.measurement.result import Result

logger = logging.getLogger(__name__)

PLUGIN = "braintumorseg"
CONNECT_S = 30.0
"""How long a scheduler may take to answer, and to come back after a restart."""
WORKERS_APPEAR_S = 300.0
"""How long the cluster may be without any worker: SLURM may have to wait for a machine."""
_TRY_S = 1.0
_LOOK_S = 0.5
"""How long one look at the studies takes where none ends: a cancel is noticed this fast."""
_ASK_EVERY_S = 1.0
_LOST = (OSError, CancelledError)
"""What a call to a scheduler that has just died raises before its client has noticed; CommClosedError is an OSError."""


class Engine(WorkerPlugin):
    """What a Dask worker keeps between studies: the loaded model. It does one study at a time, whatever its threads.

    models_folder: as ``--models``, on the worker's machine.
    """

    name = PLUGIN

    def __init__(self, models_folder: Path | None = None) -> None:
        self._models_folder = models_folder

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - Dask calls it so
        """Called once in each worker."""
        from BrainTumorSegLib.engine.models.store import ModelStore

        self.lock = threading.Lock()
        self._cache = SegmenterCache(lambda: ModelStore.default(models_folder=self._models_folder))

    def segment(self, job: SegmentJob) -> Result:
        """Do a job and write its files. Raises BrainTumorSegError."""
        return run_job(job, self._cache, lambda _stage, _fraction: None, lambda: False)


def segment_on_worker(request: Mapping[str, Any]) -> dict[str, Any]:
    """Do one study in a Dask worker. Returns plain data: its row; the error and which worker had it; or lost."""
    worker = get_worker()
    engine = worker.plugins.get(PLUGIN)
    if engine is None:  # its scheduler was started again, and the client's next message came before the plugin
        return {"lost": True}
    assert isinstance(engine, Engine)
    try:
        with engine.lock:
            return {"row": asdict(do_study(StudyTask.of_request(request), engine.segment))}
    except Exception as error:  # noqa: BLE001 - whatever goes wrong with a study is its own end, not the worker's
        known = translate(error)
        described = {"kind": known.kind, "message": known.message, "action": known.action}
        return {"error": described, "worker": worker.address}


class ClusterWorkers:
    """Does studies on the cluster behind a scheduler (see ``Workers`` in batch.py).

    Each worker has one study at a time, so that a slow one delays no other. Dask gives the study of a worker that dies
    to another. A worker that lacks the model is asked no more. When the scheduler was started again, what was under way
    is sent again, unless it is done.
    """

    def __init__(self, address: str, engine: Engine) -> None:
        self._address, self._engine = address, engine
        self._client: Client | None = None
        self._at_work: dict[str, tuple[StudyTask, Future[Any] | None]] = {}
        self._unfit: set[str] = set()
        self._reason: BrainTumorSegError | None = None
        self._away_since_s: float | None = None
        self._known: list[str] = []
        self._asked_s = float("-inf")
        self._empty_since_s: float | None = None

    def start(self, settings: RunSettings, is_cancelled: Callable[[], bool]) -> None:
        """Connect, and wait for a worker. Raises InputError where there is no scheduler or no worker, Cancelled."""
        del settings  # each study's request carries them
        self._connect(CONNECT_S)
        while not self._fit():
            if is_cancelled():
                raise Cancelled
            time.sleep(_ASK_EVERY_S)
            if self._is_away():
                self._come_back()

    @property
    def room(self) -> int:
        """How many more studies would be begun now."""
        return len(self._fit()) - len(self._at_work)

    @property
    def fractions(self) -> float:
        """Not known: only whole studies count."""
        return 0.0

    def submit(self, task: StudyTask) -> None:
        """Send a study."""
        if self._away_since_s is not None or self._client is None:
            self._at_work[task.name] = (task, None)
            return
        future = self._client.submit(
            segment_on_worker,
            task.request(),
            key=f"{PLUGIN}-{uuid.uuid4().hex}",  # Dask logs it, and a study's name may be a patient's
            workers=self._fit() if self._unfit else None,
            pure=False,
        )
        self._at_work[task.name] = (task, future)

    def poll(self, wait_s: float) -> list[Ended]:
        """The studies that have ended since the last call, after half a second at most where none has.

        Raises InputError where the scheduler, or all workers, are away for too long; ModelError where no worker has the
        model.
        """
        if self._is_away():
            return self._come_back()
        futures = [future for _, future in self._at_work.values() if future is not None]
        try:
            wait(futures, timeout=max(wait_s, _LOOK_S), return_when="FIRST_COMPLETED")
        except TimeoutError:
            self._fit()  # tells when no worker is left
        except Exception as error:  # noqa: BLE001 - lost with the scheduler; seen as such by the next call
            logger.info("Waiting for studies ended with %s", type(error).__name__)
        if self._is_away():
            return []
        return [ended for name in list(self._at_work) if (ended := self._end_of(name)) is not None]

    def stop(self) -> None:
        """Take back what has not begun; what a worker is at comes to its end there."""
        if self._client is None:
            return
        futures = [future for _, future in self._at_work.values() if future is not None]
        if not self._is_away() and futures:
            with suppress(*_LOST):
                self._client.cancel(futures, asynchronous=False, force=True)
        self._client.close(timeout=1)
        self._client = None
        self._at_work.clear()

    def _connect(self, timeout_s: float) -> None:
        try:
            self._client = Client(self._address, timeout=timeout_s, name=PLUGIN, set_as_default=False)
            self._client.register_plugin(self._engine)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                f"The Dask scheduler {self._address} can't be reached.", "Check its address, such as tcp://head:8786."
            ) from error

    def _fit(self) -> list[str]:
        """The workers that may be asked; none while the scheduler is away.

        Raises InputError or ModelError where there is none for too long.
        """
        if self._is_away():
            return []
        assert self._client is not None
        now_s = time.monotonic()
        if now_s - self._asked_s > _ASK_EVERY_S:
            self._asked_s = now_s
            try:
                self._known = list(self._client.nthreads())
            except _LOST:
                self._lose()
                return []
        fit = [address for address in self._known if address not in self._unfit]
        if fit:
            self._empty_since_s = None
            return fit
        if self._known and self._reason is not None:
            raise self._reason
        self._empty_since_s = self._empty_since_s or now_s
        if now_s - self._empty_since_s > WORKERS_APPEAR_S:
            raise InputError(
                f"The cluster at {self._address} has had no worker for {WORKERS_APPEAR_S:.0f} s.", "Start some."
            )
        return []

    def _is_away(self) -> bool:
        """Whether the scheduler is away, or was and has forgotten everything."""
        if self._away_since_s is not None:
            return True
        futures = [future for _, future in self._at_work.values() if future is not None]
        is_away = (
            self._client is None
            or self._client.status != "running"
            or any(future.status in ("cancelled", "lost") for future in futures)
        )
        if is_away:
            self._lose()
        return is_away

    def _lose(self) -> None:
        logger.warning("The scheduler is lost; waiting for it")
        self._away_since_s = time.monotonic()

    def _come_back(self) -> list[Ended]:
        """Try to connect again, and send again what was under way and is not done meanwhile."""
        assert self._away_since_s is not None
        if self._client is not None:
            self._client.close(timeout=1)
            self._client = None
        try:
            self._connect(_TRY_S)
        except InputError:
            if time.monotonic() - self._away_since_s > CONNECT_S:
                raise
            return []
        self._away_since_s, self._asked_s = None, float("-inf")
        ended = []
        for task, _ in list(self._at_work.values()):
            record = read_record(task.folder / task.name)
            if record is not None and record.batch == task.batch and record.row.status == DONE:
                del self._at_work[task.name]
                ended.append(Ended(task.name, record.row))
            else:
                self.submit(task)
        return ended

    def _end_of(self, name: str) -> Ended | None:
        """How a study ended; None where it has not, or was sent to another worker."""
        task, future = self._at_work[name]
        if future is None or future.status == "pending" or self._is_away():
            return None
        if future.status == "error":
            del self._at_work[name]
            return Ended(name, None, "crashed", *_deaths(future.exception()))
        try:
            result = future.result()
        except _LOST:
            result = {"lost": True}
        if "lost" in result:
            self._lose()
            return None
        del self._at_work[name]
        if "row" in result:
            return Ended(name, StudyRow.of(result["row"]))
        error = result["error"]
        if error["kind"] != ModelError.kind:
            return Ended(name, None, error["kind"], error["message"], error["action"])
        self._unfit.add(result["worker"])
        self._reason = ModelError(f"No worker of the cluster can use the model: {error['message']}", error["action"])
        self.submit(task)
        return None


def _deaths(error: BaseException | None) -> tuple[str, str]:
    return (
        f"The workers that were at this study died ({type(error).__name__}).",
        "Look at their logs: it may need more memory than a worker has.",
    )
