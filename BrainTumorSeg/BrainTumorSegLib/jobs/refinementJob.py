"""A corrected outline, segmented again around the corrections by the engine."""

from __future__ import annotations

from functools import partial
from typing import Any

import slicer

from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.jobs.engineJob import EngineJob
from BrainTumorSegLib.scene.corrections import Corrections, correctionsOf, takeRefined
from BrainTumorSegLib.scene.lesions import isSplit, splitAgain
from BrainTumorSegLib.scene.liveThreshold import SURFACE
from BrainTumorSegLib.scene.remeasure import followEdits
from BrainTumorSegLib.scene.resultFiles import readOnGrid
from BrainTumorSegLib.scene.review import reviewedSlices
from BrainTumorSegLib.scene.segmentVoxels import Mask
from BrainTumorSegLib.scene.studyExport import ExportedVolume, exportStudy, exportVoxels
from BrainTumorSegLib.scene.undo import SegmentationUndo


class RefinementJob(EngineJob):
    """Each step has a turn of the event loop. ``changedVolume_ml`` is there once the state is DONE."""

    def __init__(
        self, session: EngineSession, segmentationNode: Any, undo: SegmentationUndo, temporaryPath: str
    ) -> None:
        super().__init__(session, temporaryPath)
        self._nodeId = segmentationNode.GetID() if segmentationNode is not None else ""
        self._undo = undo
        self.changedVolume_ml: float | None = None

    def _begin(self) -> None:
        self._progress("export", 0.0)
        self._then(partial(self._measure, correctionsOf(self._node())))

    def _measure(self, corrections: Corrections) -> None:
        """What was corrected just now: that is what undo goes back to."""
        followEdits(self._node())
        self._then(partial(self._export, corrections))

    def _export(self, corrections: Corrections) -> None:
        study = exportStudy(corrections.flairNode, None, None, self.folder)
        self._then(partial(self._submit, corrections, study.flair))

    def _submit(self, corrections: Corrections, grid: ExportedVolume) -> None:
        parts = {
            "probability": corrections.probability,
            "labelmap": corrections.now.astype("uint8"),
            "strokes": corrections.labels,
        }
        files = {name: str(exportVoxels(part, grid, self.folder / f"{name}.nrrd")) for name, part in parts.items()}
        self._progress("refine", 0.0)
        request = {
            **{"command": "refine", "flair": str(grid.path), **files, "output": str(self.folder / "refined.nrrd")},
            **{"reviewed": sorted(reviewedSlices(self._node())), "min_volume_ml": corrections.minimumVolume_ml},
        }
        self._ask(request, lambda _answer: self._read(corrections, grid))

    def _read(self, corrections: Corrections, grid: ExportedVolume) -> None:
        self._progress("import", 1.0)
        refined = readOnGrid(self.folder / "refined.nrrd", grid).voxels != 0
        self._then(partial(self._take, corrections, refined))

    def _take(self, corrections: Corrections, refined: Mask) -> None:
        node = self._node()
        wasSplit, hadSurface = isSplit(node), node.GetSegmentation().ContainsRepresentation(SURFACE)
        self.changedVolume_ml = takeRefined(node, refined, corrections, self._undo)
        self._then(partial(self._settle, wasSplit, hadSurface))

    def _settle(self, wasSplit: bool, hadSurface: bool) -> None:
        node = self._node()
        followEdits(node)
        if wasSplit:
            splitAgain(node)
        if hadSurface:
            self._then(node.CreateClosedSurfaceRepresentation)

    def _stop(self) -> None:
        if self.changedVolume_ml is None:  # else it is in the scene: too late
            super()._stop()

    def _node(self) -> Any:
        node = slicer.mrmlScene.GetNodeByID(self._nodeId) if self._nodeId else None
        if node is None:
            raise InputError("The segmentation is not in the scene any more.", "Choose another one.")
        return node
