"""One whole run, the same for the command line and the worker: read, load, segment, write."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from BrainTumorSegLib.engine.errors import Cancelled, InputError
from BrainTumorSegLib.engine.files import check_distinct, check_writable
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.memory import needed_bytes, require_memory
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.output.kinds import refuse_other_kind
from BrainTumorSegLib.engine.output.page.page import check_page_name
from BrainTumorSegLib.engine.output.writing import OutputPaths, write_result
from BrainTumorSegLib.engine.paths import check_input
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.alignment import by_evidence, by_header, by_registration
from BrainTumorSegLib.engine.study.endings import IMAGE_ENDINGS
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.roles import Role

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.inference.segmenter import Progress, Segmenter

logger = logging.getLogger(__name__)

LOADING = "loading"
"""What the name of a thread begins with that loads a model."""
_POLL_S = 0.05

# Where each part of a run starts, as a fraction of the whole: the segmenter reports 0-1 of its own part.
LOAD_STARTS = 0.05
SEGMENT_STARTS = 0.15
WRITE_STARTS = 0.95


ALIGNMENTS = {"auto": by_evidence, "on": by_registration, "off": by_header}
"""What each word of the setting ``register`` does."""


@dataclass(frozen=True)
class SegmentJob:
    """What to segment, how, and where to."""

    inputs: StudyPaths
    outputs: OutputPaths
    settings: RunSettings = RunSettings()

    def check(self) -> None:
        """Find within milliseconds what would only fail at the end of the run.

        Raises InputError for an input that is missing, can't be read or is given twice, a segmentation that is not
        named .seg.nrrd, a DICOM segmentation of a FLAIR that is not DICOM, or an output that would replace an input or
        any file that is none of its kind; OutputError for an output that can't be written or is named twice.
        """
        given = {Role.FLAIR: self.inputs.flair, Role.T1: self.inputs.t1, Role.T1C: self.inputs.t1c}
        inputs = _given(*given.values())
        for role, path in given.items():
            if path is not None:
                check_input(role.label, path)
        _refuse_same_file(given)
        if not self.outputs.segmentation.name.endswith(".seg.nrrd"):
            raise InputError(
                f"The segmentation's name {self.outputs.segmentation} does not end in .seg.nrrd.",
                "3D Slicer knows a segmentation by that ending; choose a name such as tumour.seg.nrrd.",
            )
        if self.outputs.dicom_seg is not None:
            _check_dicom_seg(self.inputs.flair)
        check_distinct(written_files(self.outputs))
        if self.outputs.page is not None:
            check_page_name(self.outputs.page)
        for path in written_files(self.outputs):
            if any(path.exists() and path.samefile(source) for source in inputs):
                raise InputError(f"The output {path} is also an input.", "Choose another name for the output.")
        for name, path in self.outputs.by_name().items():
            refuse_other_kind(name, path)
        for path in written_files(self.outputs):
            check_writable(path)


class SegmenterCache:
    """Keeps the segmenter that was used last, so that the next study finds it loaded and warm.

    open_store: opens the store of models, anew for each job: models may have been installed since the last one.
    """

    def __init__(self, open_store: Callable[[], ModelStore] = ModelStore.default) -> None:
        self._open_store = open_store
        self._key: tuple[str, str] | None = None
        self._segmenter: Segmenter | None = None
        self._lock = threading.Lock()

    def require(self, model: str | None, device: str) -> None:
        """Find within milliseconds that a model is missing. Raises ModelError as ``ModelStore.path`` does."""
        store = self._open_store()
        needed = store.index.needed(model)
        if self._segmenter is None or self._key != (needed[0].sha256, device):
            for entry in needed:
                store.path(entry.name)

    def start(self, model: str | None, device: str) -> Future[Segmenter]:
        """Begin to load the segmenter of this model and device, unless it is the one that is there.

        The future raises ModelError or InputError as ``load_segmenter`` does. What is there is given without a thread:
        one that gets no memory for its first object never starts, and Python waits for it for ever.
        """
        if (segmenter := self._loaded(model, device)) is not None:
            loaded: Future[Segmenter] = Future()
            loaded.set_result(segmenter)
            return loaded
        pool = ThreadPoolExecutor(1, LOADING)
        future = pool.submit(self._load, model, device)
        pool.shutdown(wait=False)
        return future

    def get(self, model: str | None, device: str) -> Segmenter:
        """As ``start``, when it is there."""
        return self.start(model, device).result()

    def _loaded(self, model: str | None, device: str) -> Segmenter | None:
        """The segmenter that is there, if it is the one of this model and device and no other is being loaded."""
        if self._segmenter is None or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._segmenter if self._key == (self._open_store().entry(model).sha256, device) else None
        finally:
            self._lock.release()

    def _load(self, model: str | None, device: str) -> Segmenter:
        # Only here: torch takes seconds to import, and a mistyped path should be told at once.
        from BrainTumorSegLib.engine.inference.segmenter import load_segmenter

        with self._lock:  # the last run may have been cancelled while its model was loading
            store = self._open_store()
            key = (store.entry(model).sha256, device)
            if self._segmenter is None or key != self._key:
                self._segmenter = None  # frees the earlier network's memory before the next one is loaded
                self._segmenter = load_segmenter(store, model, device)
                self._key = key
            return self._segmenter


def run_job(
    job: SegmentJob, segmenters: SegmenterCache, on_progress: Progress, is_cancelled: Callable[[], bool]
) -> Result:
    """Do the job and write its files, all or none.

    on_progress gets the stage and the fraction of the whole run, 0-1, never decreasing. The result's timings include
    reading and loading, in seconds; writing is logged only, since the report is part of it. Raises
    BrainTumorSegError, Cancelled included.
    """
    timings_s: dict[str, float] = {}
    job.check()
    segmenters.require(job.settings.model, job.settings.device)
    # While the files are read: importing torch takes longer than that.
    loading = segmenters.start(job.settings.model, job.settings.device)
    stage = "register" if job.settings.register == "on" else "read"
    on_progress(stage, 0.0)
    with _timed(stage, timings_s):
        study = read_study(job.inputs, ALIGNMENTS[job.settings.register], is_cancelled)
    sequences = 1 + sum(each is not None for each in (study.t1, study.t1c))
    require_memory("The study", study.geometry.size_ijk, sequences)
    logger.info("needs up to %.1f GB of memory", needed_bytes(study.geometry.size_ijk, sequences) / 1e9)
    _stop_if(is_cancelled)
    on_progress("load", LOAD_STARTS)
    with _timed("load", timings_s):
        segmenter = _when_loaded(loading, is_cancelled)
    _stop_if(is_cancelled)
    result = segmenter.segment(study, job.settings, _within(on_progress, SEGMENT_STARTS, WRITE_STARTS), is_cancelled)
    result = replace(result, timings_s={**timings_s, **result.timings_s})
    _stop_if(is_cancelled)
    on_progress("write", WRITE_STARTS)
    with _timed("write", timings_s):
        write_result(result, job.outputs)
    on_progress("write", 1.0)
    return result


def written_files(outputs: OutputPaths) -> tuple[Path, ...]:
    """The files that a run writes, those that were not asked for left out."""
    return tuple(outputs.by_name().values())


def _check_dicom_seg(flair: Path) -> None:
    """Raises InputError for a FLAIR that is no DICOM, ModuleNotFoundError where the package that writes is missing."""
    if flair.is_file() and flair.name.lower().endswith(IMAGE_ENDINGS):
        raise InputError(
            f"A DICOM segmentation can't be written of {flair}: it belongs to a DICOM series, and that is none.",
            "Give the folder with the DICOM series as FLAIR, or leave the DICOM segmentation out.",
        )
    if importlib.util.find_spec("highdicom") is None:
        raise ModuleNotFoundError("No module named 'highdicom'", name="highdicom")


def _refuse_same_file(given: Mapping[Role, Path | None]) -> None:
    """Folders may be the same: one DICOM study holds several series."""
    files = {role: path for role, path in given.items() if path is not None and path.is_file()}
    for one, other in itertools.combinations(files, 2):
        if files[one].samefile(files[other]):
            raise InputError(
                f"{one.label} and {other.label} are one file, {files[one]}.", "Give each sequence its own file."
            )


def _given(*paths: Path | None) -> tuple[Path, ...]:
    return tuple(path for path in paths if path is not None)


def _when_loaded(loading: Future[Segmenter], is_cancelled: Callable[[], bool]) -> Segmenter:
    while not wait([loading], _POLL_S).done:
        _stop_if(is_cancelled)
    return loading.result()


def _stop_if(is_cancelled: Callable[[], bool]) -> None:
    if is_cancelled():
        raise Cancelled


def _within(on_progress: Progress, start: float, end: float) -> Progress:
    """Progress of one part of the run as progress of the whole."""
    return lambda stage, fraction: on_progress(stage, start + (end - start) * fraction)


@contextmanager
def _timed(stage: str, timings_s: dict[str, float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings_s[stage] = time.perf_counter() - started
    logger.info("%s took %.2f s", stage, timings_s[stage])
