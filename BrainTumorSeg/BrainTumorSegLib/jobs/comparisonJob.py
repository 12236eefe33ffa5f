"""Two segmentations of the scene compared by the engine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import slicer

from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.measurement.agreement import Comparison
from BrainTumorSegLib.jobs.engineJob import EngineJob
from BrainTumorSegLib.scene.comparisonExport import OutlineFiles, imageOf, writeOutline


class ComparisonJob(EngineJob):
    """Both lie where the scene shows them; once the state is DONE, ``comparison`` holds the numbers.

    ``motion``: how the second's study was moved onto the first's, as in a report; None where it was not. Only studies
    with images of their own are moved, and only where they lie badly. The first one's voxels are counted.
    """

    def __init__(self, session: EngineSession, firstNode: Any, secondNode: Any, temporaryPath: str) -> None:
        super().__init__(session, temporaryPath)
        self.comparison: Comparison | None = None
        self.motion: dict[str, Any] | None = None
        self._ids = (firstNode.GetID(), secondNode.GetID())
        self._outlines: list[OutlineFiles] = []

    def _begin(self) -> None:
        self._progress("export", 0.0)
        if self._ids[0] == self._ids[1]:
            raise InputError("A segmentation can't be compared with itself.", "Choose another one.")
        self._then(partial(self._write, 0))

    def _write(self, number: int) -> None:
        folder = self.folder / str(number)
        folder.mkdir()
        self._outlines.append(writeOutline(self._node(number), folder))
        self._then(partial(self._write, 1) if number == 0 else self._compare)

    def _compare(self) -> None:
        first, second = self._outlines
        areTwoStudies = imageOf(self._node(0)) is not imageOf(self._node(1))
        request = {
            "command": "compare",
            "first": str(first.labelmap),
            "second": str(second.labelmap),
            "first_image": _text(first.image) if areTwoStudies else None,
            "second_image": _text(second.image) if areTwoStudies else None,
        }
        self._ask(request, self._take)

    def _take(self, content: dict[str, Any]) -> None:
        self.comparison, self.motion = Comparison(**content["comparison"]), content["motion"]

    def _node(self, number: int) -> Any:
        node = slicer.mrmlScene.GetNodeByID(self._ids[number])
        if node is None:
            raise InputError(
                "A segmentation was removed from the scene while it was being compared.", "Choose another."
            )
        return node


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
