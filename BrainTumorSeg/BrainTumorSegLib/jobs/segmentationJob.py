"""One study from the scene through the engine and back, one step at a time and never waiting."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import slicer

from BrainTumorSegLib.client.process import Event
from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import BrainTumorSegError, OutputError, Remedy
from BrainTumorSegLib.jobs.activity import Activity, Failure, State, failureOf, failureOfEvent
from BrainTumorSegLib.jobs.settings import JobSettings
from BrainTumorSegLib.scene.probabilityImport import offerProbability
from BrainTumorSegLib.scene.resultImport import (
    EditedPolicy,
    ImportedResult,
    ReadResult,
    ResultFiles,
    importResult,
    readResult,
)
from BrainTumorSegLib.scene.studyExport import ExportedStudy, exportStudy
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.volumeGeometry import localToWorld

logger = logging.getLogger(__name__)

CANCEL_PATIENCE_S = 3.0
"""How long the engine may take to stop by itself before its process is ended."""


@dataclass(frozen=True)
class JobNodes:
    """The nodes of a job by ID, for a node may be deleted while it runs; "" where none was chosen."""

    flair: str
    t1: str = ""
    t1c: str = ""
    segmentation: str = ""

    @classmethod
    def of(cls, flairNode: Any, t1Node: Any = None, t1cNode: Any = None, segmentationNode: Any = None) -> JobNodes:
        """From nodes of the scene, None where none was chosen."""
        nodes = (flairNode, t1Node, t1cNode, segmentationNode)
        return cls(*(node.GetID() if node is not None else "" for node in nodes))


class SegmentationJob(Activity):
    """Exports, lets the engine segment, imports. ``result`` is there once the state is DONE.

    warnings: sentences for the user about study, engine and computer. remedies: what would help against some of them.
    folder: a new folder of its own below ``temporaryPath``, removed at the end, whatever the end is.
    """

    def __init__(
        self,
        session: EngineSession,
        nodes: JobNodes,
        settings: JobSettings,
        undo: SegmentationUndo,
        temporaryPath: str,
        policy: EditedPolicy = EditedPolicy.KEEP,
    ) -> None:
        super().__init__()
        self.result: ImportedResult | None = None
        self.report: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.remedies: tuple[Remedy, ...] = ()
        self._session, self._nodes, self._settings = session, nodes, settings
        self._undo, self._policy, self._temporaryPath = undo, policy, temporaryPath
        self._folder: Path | None = None
        self._study: ExportedStudy | None = None
        self._request = ""
        self._cancelledAt_s: float | None = None
        self._hasStarted = False
        self._lastSteps: deque[Callable[[], None]] = deque()

    def poll(self) -> None:
        """Begin, at the first call; later bring the result in, or end a process that does not answer a cancel."""
        if not self._hasStarted:
            self._hasStarted = True
            self._do(self._start)
        elif self._lastSteps:
            self._do(self._lastSteps.popleft())
        elif self._cancelledAt_s is not None and time.monotonic() - self._cancelledAt_s > CANCEL_PATIENCE_S:
            self.abandon()

    def abandon(self) -> None:
        """End at once, together with the engine's process: for a closed scene, a reload and the application's exit."""
        self._session.stop()
        self._finish(Failure("cancelled", "Cancelled.", ""))

    def _start(self) -> None:
        """Check the inputs, write them for the engine and send the first request."""
        self._progress("export", 0.0)
        self._folder = _newFolder(self._temporaryPath)
        flair, t1, t1c = (_node(each) for each in (self._nodes.flair, self._nodes.t1, self._nodes.t1c))
        target = _node(self._nodes.segmentation)
        if target is not None:
            localToWorld(target)  # raises now, not after the work, if the result could not be put there
        self._study = exportStudy(flair, t1, t1c, self._folder)
        self._progress("start", 0.0)
        if self._session.isChecked:
            self._submit()
        else:
            self._request = self._session.submit({"command": "doctor"}, self._onChecked)

    def _do(self, step: Callable[..., None], *arguments: Any) -> None:
        """Take a step that may raise; nothing gets past here into Slicer's event loop."""
        try:
            step(*arguments)
        except BrainTumorSegError as error:
            self._finish(failureOf(error))
        except Exception as error:  # noqa: BLE001 - a defect here must end this job, not repeat at every poll
            # The frames alone: a message may hold a path, and a path a patient's name.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("Defect in a segmentation job: %s\n%s", type(error).__name__, frames)
            action = "Please report it with 'Copy diagnostics'."
            self._finish(Failure("defect", f"Something unforeseen went wrong ({type(error).__name__}).", action))

    def _submit(self) -> None:
        self._request = self._session.submit(self._segmentRequest(), self._onEvent)

    def _segmentRequest(self) -> dict[str, Any]:
        assert self._study is not None, "set by _start"
        assert self._folder is not None, "set by _start"
        study, folder = self._study, self._folder
        return {
            "command": "segment",
            "flair": str(study.flair.path),
            "t1": str(study.t1.path) if study.t1 else None,
            "t1c": str(study.t1c.path) if study.t1c else None,
            "output": str(folder / "segmentation.seg.nrrd"),
            "probability": str(folder / "probability.nrrd"),
            "report": None,
            "preview": None,
            **self._settings.request(),
        }

    def _stop(self) -> None:
        if not self._hasStarted:
            self._hasStarted = True
            self._finish(Failure("cancelled", "Cancelled.", ""))
            return
        if self.result is not None:
            return  # it is in the scene: too late
        if self._lastSteps:
            self._finish(Failure("cancelled", "Cancelled.", ""))
            return
        self._cancelledAt_s = time.monotonic()
        self._session.cancel(self._request)

    def _onChecked(self, event: Event) -> None:
        """The engine's look at this machine, before its first job: go on unless something prevents it."""
        if event.name == "error":
            self._finish(failureOfEvent(event))
        elif event.name == "done" and self.state is State.CANCELLING:
            self._finish(Failure("cancelled", "", ""))
        elif event.name == "done":
            findings = event.content.get("findings", [])
            problem = next((each for each in findings if _isPrevented(each)), None)
            if problem is not None:
                self._finish(Failure("machine", problem["message"], problem["remedy"]))
                return
            self.warnings = [f"{each['message']} {each['remedy']}" for each in findings if each["status"] == "warning"]
            self._session.isChecked = True
            self._do(self._submit)

    def _onEvent(self, event: Event) -> None:
        if event.name == "progress":
            self._progress(event.content["stage"], event.content["fraction"])
        elif event.name == "error":
            self._finish(failureOfEvent(event))
        elif event.name == "done" and self.state is State.CANCELLING:
            self._finish(Failure("cancelled", "", ""))
        elif event.name == "done":
            self._lastSteps.append(partial(self._read, event.content["report"]))

    def _read(self, report: dict[str, Any]) -> None:
        """Read the result's files. This and what follows get a turn of the event loop each: together they take long."""
        assert self._study is not None, "set by _start"
        assert self._folder is not None, "set by _start"
        self._progress("import", 1.0)
        files = ResultFiles(self._folder / "segmentation.seg.nrrd", self._folder / "probability.nrrd")
        self._lastSteps.append(partial(self._import, report, readResult(files, self._study)))

    def _import(self, report: dict[str, Any], read: ReadResult) -> None:
        assert self._study is not None, "set by _start"
        flair, target = _node(self._nodes.flair), _node(self._nodes.segmentation)
        self.result = importResult(read, report, self._study, flair, target, self._undo, self._policy)
        if self._settings.keepProbability:
            offerProbability(self.result.segmentationNode)
        self.report = report
        self.warnings += report["warnings"]
        self.remedies = tuple(Remedy(each) for each in report["remedies"])
        self._lastSteps.append(partial(self._finish, None))

    def _finish(self, failure: Failure | None) -> None:
        self._cancelledAt_s = None
        self._lastSteps.clear()
        self._removeFolder()
        if failure is None:
            self._become(State.DONE)
            return
        logger.info("Job ended: %s", failure.kind)
        self._fail(failure)

    def _removeFolder(self) -> None:
        # The volumes of a patient: never left behind, even if one file is still open in a dying process.
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _newFolder(parent: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="BrainTumorSeg-", dir=parent))
    except OSError as error:
        raise OutputError(
            f"Slicer's temporary folder can't be written to: {error.strerror}.",
            "Free space there, or choose another temporary folder in Edit / Application Settings / General.",
        ) from error


def _node(identifier: str) -> Any:
    return slicer.mrmlScene.GetNodeByID(identifier) if identifier else None


def _isPrevented(finding: dict[str, str]) -> bool:
    # Weights are judged by the job itself: it may use others than the default ones that are looked at here.
    return finding["status"] == "problem" and not finding["name"].startswith("weights")
