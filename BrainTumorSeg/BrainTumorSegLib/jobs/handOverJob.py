"""A result handed over: files from the scene, and by the engine a page for people and a DICOM segmentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
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
from BrainTumorSegLib.scene.resultExport import OutlinedStudy, fileStem, writeOutlinedStudy, writeResultFiles
from BrainTumorSegLib.scene.review import reviewedSlices
from BrainTumorSegLib.scene.volumeGeometry import ijkToLocal, ijkToWorld


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
                self._askDicom()
            except InputError as error:
                self._noteDicom(failureOf(error))
        else:
            self._ask(self._requestFor(document, self._study()), lambda _content: self._next())

    def _study(self) -> OutlinedStudy:
        """The study in the world, where it is measured; a tumour that both pages are of is written once."""
        if self._inWorld is None:
            self._inWorld = self._written("world", ijkToWorld(self._flair()))
        return self._inWorld

    def _written(self, name: str, ijkToRas: Any) -> OutlinedStudy:
        return writeOutlinedStudy(self._node(), ijkToRas, self._made(name))

    def _askDicom(self) -> None:
        """Where the scanner put it, wherever a transform of the scene has moved it since."""
        files = dicomFilesOf(self._flair())
        study = self._written("scanner", ijkToLocal(self._flair()))
        request = {**self._requestFor(Document.DICOM, study), "series": [str(path) for path in files]}
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
        picture = self._made("pictures") / "3d.png"
        isDrawn = name == "page" and (picture.is_file() or self._order.drawIn3D(picture))
        return {
            "command": "hand_over",
            "flair": str(study.flair),
            "labelmap": str(study.labelmap),
            "probability": None if study.probability is None else str(study.probability),
            "report": study.report,
            "corrected_by": self._order.correctedBy if markEditedIfChanged(node) else None,
            "picture_3d": str(picture) if isDrawn else None,
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
