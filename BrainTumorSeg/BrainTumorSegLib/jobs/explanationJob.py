"""What the slice classifier looked at in one slice of a result, by the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.jobs.engineJob import EngineJob
from BrainTumorSegLib.scene.resultFiles import readOnGrid
from BrainTumorSegLib.scene.resultInputs import resultInputsOf
from BrainTumorSegLib.scene.studyExport import ExportedVolume, exportStudy


class ExplanationJob(EngineJob):
    """``map`` is there once the state is DONE: float32 [K, J, I] on FLAIR's grid, 0-1, 0 in all other slices.

    index: axial slice from 0, the lowest.
    """

    def __init__(self, session: EngineSession, segmentationNode: Any, index: int, temporaryPath: str) -> None:
        super().__init__(session, temporaryPath)
        self._inputs = resultInputsOf(segmentationNode)
        self.index = index
        self.map: npt.NDArray[np.float32] | None = None

    def _begin(self) -> None:
        self._progress("export", 0.0)
        inputs, output = self._inputs, self.folder / "map.nrrd"
        study = exportStudy(inputs.flair, inputs.t1, inputs.t1c, self.folder)
        self._progress("explain", 0.0)
        request = {
            "command": "explain",
            "flair": str(study.flair.path),
            "t1": str(study.t1.path) if study.t1 else None,
            "t1c": str(study.t1c.path) if study.t1c else None,
            "slice": self.index,
            "output": str(output),
            "model": inputs.model,
            "register": "off",  # they lie where they were when they were segmented
            "classifier_sha256": inputs.classifierSha256,
        }
        self._ask(request, lambda _answer: self._read(output, study.flair))

    def _read(self, path: Path, grid: ExportedVolume) -> None:
        self.map = readOnGrid(path, grid).voxels.astype(np.float32, copy=False)
