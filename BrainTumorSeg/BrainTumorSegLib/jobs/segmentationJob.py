"""One study from the scene through the engine and back, one step at a time and never waiting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import slicer

from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import Remedy
from BrainTumorSegLib.jobs.activity import Failure
from BrainTumorSegLib.jobs.engineJob import EngineJob
from BrainTumorSegLib.jobs.settings import JobSettings
from BrainTumorSegLib.scene.probabilityImport import offerProbability
from BrainTumorSegLib.scene.resultImport import (
    EditedPolicy,
    ImportedResult,
    ReadResult,
    ResultFiles,
    importResult,
    readResult,
    showSurface,
)
from BrainTumorSegLib.scene.studyExport import ExportedStudy, exportStudy
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.volumeGeometry import localToWorld


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


class SegmentationJob(EngineJob):
    """Exports, lets the engine segment, imports. ``result`` is there once the state is DONE.

    warnings: sentences for the user about study, engine and computer. remedies: what would help against some of them.
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
        super().__init__(session, temporaryPath)
        self.result: ImportedResult | None = None
        self.report: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.remedies: tuple[Remedy, ...] = ()
        self._nodes, self._settings = nodes, settings
        self._undo, self._policy = undo, policy

    def _begin(self) -> None:
        """Check the inputs, write them for the engine and send the first request."""
        self._progress("export", 0.0)
        flair, t1, t1c = (_node(each) for each in (self._nodes.flair, self._nodes.t1, self._nodes.t1c))
        target = _node(self._nodes.segmentation)
        if target is not None:
            localToWorld(target)  # raises now, not after the work, if the result could not be put there
        study = exportStudy(flair, t1, t1c, self.folder)
        self._progress("start", 0.0)
        if self._session.isChecked:
            self._segment(study)
        else:
            self._ask({"command": "doctor"}, partial(self._onChecked, study))

    def _onChecked(self, study: ExportedStudy, content: dict[str, Any]) -> None:
        """The engine's look at this machine, before its first job: go on unless something prevents it."""
        findings = content.get("findings", [])
        problem = next((each for each in findings if _isPrevented(each)), None)
        if problem is not None:
            self._finish(Failure("machine", problem["message"], problem["remedy"]))
            return
        self.warnings = [f"{each['message']} {each['remedy']}" for each in findings if each["status"] == "warning"]
        self._session.isChecked = True
        self._segment(study)

    def _segment(self, study: ExportedStudy) -> None:
        request = {
            "command": "segment",
            "flair": str(study.flair.path),
            "t1": str(study.t1.path) if study.t1 else None,
            "t1c": str(study.t1c.path) if study.t1c else None,
            "output": str(self.folder / "segmentation.seg.nrrd"),
            "probability": str(self.folder / "probability.nrrd"),
            "report": None,
            "preview": None,
            **self._settings.request(),
        }
        self._ask(request, lambda content: self._read(study, content["report"]))

    def _read(self, study: ExportedStudy, report: dict[str, Any]) -> None:
        """Read the result's files. This and what follows get a turn of the event loop each: together they take long."""
        self._progress("import", 1.0)
        files = ResultFiles(self.folder / "segmentation.seg.nrrd", self.folder / "probability.nrrd")
        self._then(partial(self._import, study, report, readResult(files, study)))

    def _import(self, study: ExportedStudy, report: dict[str, Any], read: ReadResult) -> None:
        flair, target = _node(self._nodes.flair), _node(self._nodes.segmentation)
        self.result = importResult(read, report, study, flair, target, self._undo, self._policy)
        if self._settings.keepProbability:
            offerProbability(self.result.segmentationNode)
        self.report = report
        self.warnings += report["warnings"]
        self.remedies = tuple(Remedy(each) for each in report["remedies"])
        self._then(partial(self._showSurface, self.result))

    def _showSurface(self, result: ImportedResult) -> None:
        showSurface(result)
        self._then(partial(self._finish, None))

    def _stop(self) -> None:
        if self.result is None:  # else it is in the scene: too late
            super()._stop()


def _node(identifier: str) -> Any:
    return slicer.mrmlScene.GetNodeByID(identifier) if identifier else None


def _isPrevented(finding: dict[str, str]) -> bool:
    # Weights are judged by the job itself: it may use others than the default ones that are looked at here.
    return finding["status"] == "problem" and not finding["name"].startswith("weights")
