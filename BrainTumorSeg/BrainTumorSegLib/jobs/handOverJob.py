"""A result handed over: files from the scene, and by the engine a page for people and a DICOM segmentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import slicer

from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_paths, check_writable
from BrainTumorSegLib.engine.output.kinds import refuse_other_kind
from BrainTumorSegLib.jobs.activity import Failure, failureOf
from BrainTumorSegLib.jobs.engineJob import EngineJob
from BrainTumorSegLib.scene.dicomFiles import dicomFilesOf
from BrainTumorSegLib.scene.provenance import markEditedIfChanged
from BrainTumorSegLib.scene.remeasure import followEdits
from BrainTumorSegLib.scene.resultExport import (
    OutlinedStudy,
    checkOutlined,
    fileStem,
    writeOutlinedStudy,
    writeResultFiles,
)
from BrainTumorSegLib.scene.review import reviewedSlices
from BrainTumorSegLib.scene.volumeGeometry import Matrix, ijkToLocal, ijkToWorld


class Document(StrEnum):
    """What can be handed over. result: the segmentation, its tables and where it comes from."""

    RESULT = "result"
    PDF = "pdf"
    HTML = "html"
    DICOM = "dicom"


_OUTPUTS = {Document.PDF: ("page", ".pdf"), Document.HTML: ("page", ".html"), Document.DICOM: ("dicom_seg", ".dcm")}
"""By document: the engine's word for it, and how its file ends."""


@dataclass(frozen=True)
class HandOverOrder:
    """What to hand over, and where to.

    folder: an existing one. correctedBy: who corrected the outline, if anybody did; "" for no name. drawIn3D: saves a
    picture of the 3D view under a name and says whether there was one to save.
    """

    documents: tuple[Document, ...]
    folder: Path
    correctedBy: str = ""
    drawIn3D: Callable[[Path], bool] = lambda _path: False

    @classmethod
    def of(cls, documents: Collection[str], folder: Path, **others: Any) -> HandOverOrder:
        """With the documents by name. Raises InputError for a name that is none of them, and for none at all."""
        unknown = [each for each in documents if each not in tuple(Document)]
        if unknown or not documents:
            raise InputError(
                f"{unknown[0]!r} can't be handed over." if unknown else "Nothing is chosen to be exported.",
                f"Choose from {', '.join(Document)}.",
            )
        return cls(tuple(each for each in Document if each in documents), folder, **others)


class HandOverJob(EngineJob):
    """Writes all files together at the end, or none. ``paths`` are there once the state is DONE.

    A DICOM segmentation that can't be written stops nothing else: ``notes`` say why.
    """

    def __init__(self, session: EngineSession, segmentationNode: Any, order: HandOverOrder, temporaryPath: str) -> None:
        super().__init__(session, temporaryPath)
        self.paths: tuple[Path, ...] = ()
        self.notes: list[str] = []
        self._nodeId, self._order = segmentationNode.GetID(), order
        self._pending = list(order.documents)
        self._inWorld: OutlinedStudy | None = None
        self._picture: Path | None = None
        self._lastNote: Failure | None = None

    def _begin(self) -> None:
        self._progress("export", 0.0)
        check_writable(self._order.folder / f"{fileStem(self._node())}.seg.nrrd")
        self._next()

    def _next(self) -> None:
        """Each document in a turn of its own."""
        if self._pending:
            document = self._pending.pop(0)
            self._then(lambda: self._write(document))
        else:
            self._then(self._deliver)

    def _write(self, document: Document) -> None:
        if document is Document.RESULT:
            followEdits(self._node())
            writeResultFiles(self._node(), self._made("results"))
            self._next()
        elif document is Document.DICOM:
            try:
                checkOutlined(self._node())
                series = [str(path) for path in dicomFilesOf(self._flair())]
            except InputError as error:
                self._noteDicom(failureOf(error))
                return
            # Where the scanner put it, wherever a transform of the scene has moved it since.
            steps = self._stepsOf("scanner", ijkToLocal(self._flair()))
            self._take(steps, lambda study: self._askDicom(study, series))
        elif self._inWorld is None:
            checkOutlined(self._node())
            # In the world, where the tables are measured too.
            self._take(self._stepsOf("world", ijkToWorld(self._flair())), lambda study: self._draw(document, study))
        else:
            self._askPage(document)

    def _stepsOf(self, name: str, ijkToRas: Matrix) -> Generator[None, None, OutlinedStudy]:
        return writeOutlinedStudy(self._node(), ijkToRas, self._made(name))

    def _take(self, steps: Generator[None, None, OutlinedStudy], go: Callable[[OutlinedStudy], None]) -> None:
        """Write a study, a file at each turn, and go on with it."""
        try:
            next(steps)
        except StopIteration as end:
            study = end.value
            self._then(lambda: go(study))
        else:
            self._then(lambda: self._take(steps, go))

    def _draw(self, document: Document, study: OutlinedStudy) -> None:
        """The picture that every page gets."""
        self._inWorld = study
        picture = self._made("pictures") / "3d.png"
        self._picture = picture if self._order.drawIn3D(picture) else None
        self._then(lambda: self._askPage(document))

    def _askPage(self, document: Document) -> None:
        assert self._inWorld is not None, "the first page has written it"
        picture = None if self._picture is None else str(self._picture)
        request = {**self._requestFor(document, self._inWorld), "picture_3d": picture}
        self._ask(request, lambda _content: self._next())

    def _askDicom(self, study: OutlinedStudy, series: list[str]) -> None:
        try:
            request = {**self._requestFor(Document.DICOM, study), "series": series}
        except InputError as error:
            self._noteDicom(failureOf(error))
            return
        self._ask(request, lambda _content: self._next(), self._noteDicom)

    def _noteDicom(self, failure: Failure) -> None:
        self.notes.append(f"No DICOM segmentation was written. {failure}")
        self._lastNote = failure
        self._next()

    def _requestFor(self, document: Document, study: OutlinedStudy) -> dict[str, Any]:
        node = self._node()
        name, ending = _OUTPUTS[document]
        target = self._made("results") / f"{fileStem(node)}{ending}"
        refuse_other_kind(name, self._order.folder / target.name)
        return {
            "command": "hand_over",
            "flair": str(study.flair),
            "labelmap": str(study.labelmap),
            "probability": None if study.probability is None else str(study.probability),
            "report": study.report,
            "corrected_by": self._order.correctedBy if markEditedIfChanged(node) else None,
            "reviewed": len(reviewedSlices(node)),
            name: str(target),
        }

    def _deliver(self) -> None:
        """Copy everything to where it is wanted, together."""
        made = sorted(self._made("results").iterdir())
        if not made:
            assert self._lastNote is not None, "every other document ends the job where it can't be written"
            self._finish(self._lastNote)
            return
        targets = [self._order.folder / path.name for path in made]
        with atomic_paths(targets) as temporaries:
            for source, temporary in zip(made, temporaries, strict=True):
                shutil.copyfile(source, temporary)
        self.paths = tuple(targets)

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _node(self) -> Any:
        node = slicer.mrmlScene.GetNodeByID(self._nodeId)
        if node is None:
            raise InputError(
                "The segmentation was removed from the scene while it was being exported.", "Load it again."
            )
        return node

    def _flair(self) -> Any:
        node = self._node()
        flair = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
        if flair is None or flair.GetImageData() is None:
            raise InputError("The FLAIR volume of this result is not in the scene any more.", "Load it again.")
        return flair
