"""Studies through ``braintumorseg worker``, the process that the extension talks to: started once, warm for all."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from brain_tumor_training.program.outputs import OutputFiles, Segmentation, models_option
from BrainTumorSegLib.client.process import Event, WorkerProcess
from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.reading import StudyPaths

_POLL_S = 0.01
_END_WAIT_S = 5.0


class SegmentWorker:
    """Sends studies to a running worker. Make it with ``segment_worker``."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process

    def run(self, paths: StudyPaths, options: RunSettings) -> Segmentation:
        """Segments a study. Raises BrainTumorSegError with the worker's own words if it fails."""
        with TemporaryDirectory() as folder:
            outputs = OutputFiles(Path(folder))
            request = {"command": "segment", **options.request(), **outputs.named_with(paths)}
            started = time.monotonic()
            event = self._answer(self._process.submit(request))
            seconds = time.monotonic() - started
            if event.name != "done":
                said = " ".join(str(event.content.get(part, "")) for part in ("message", "action"))
                raise BrainTumorSegError(
                    f"`braintumorseg worker` answered with an error ({event.content.get('kind')}): {said.strip()}",
                    "Correct what it names and evaluate again.",
                )
            return outputs.read(paths.flair, seconds)

    def _answer(self, identifier: str) -> Event:
        while True:
            for event in self._process.poll():
                if event.id == identifier and event.is_final:
                    return event
            time.sleep(_POLL_S)


@contextmanager
def segment_worker(models: Path | None = None) -> Iterator[SegmentWorker]:
    """A worker for as long as the block runs. models: a folder of models to use instead of the installed ones."""
    process = WorkerProcess([sys.executable, "-m", "BrainTumorSegLib", "worker", *models_option(models)])
    process.start()
    try:
        yield SegmentWorker(process)
    finally:
        process.shutdown()
        deadline = time.monotonic() + _END_WAIT_S
        while process.is_running and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        process.kill()
