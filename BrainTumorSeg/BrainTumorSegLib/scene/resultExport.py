"""A result of the scene as files: the segmentation as it is now, its measurements and where it comes from."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.settings import MIN_VOLUME, THRESHOLD
from BrainTumorSegLib.scene.keptReport import reportText
from BrainTumorSegLib.scene.liveThreshold import limitsOf
from BrainTumorSegLib.scene.ownNodes import LESIONS, PROBABILITY, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.provenance import markEditedIfChanged, ownSegmentIds, readProvenance, tumourSegmentIds
from BrainTumorSegLib.scene.remeasure import tumourMask
from BrainTumorSegLib.scene.volumeFiles import writeVolume, writeVoxels
from BrainTumorSegLib.scene.volumeGeometry import Matrix


def fileStem(segmentationNode: Any) -> str:
    """What the names of a result's files begin with."""
    return re.sub(r"[^\w.-]+", "_", segmentationNode.GetName()).strip("_") or "segmentation"


def writeResultFiles(segmentationNode: Any, folder: Path) -> None:
    """Write segmentation (.seg.nrrd), lesions and slices (.csv) and provenance (.json) into a folder.

    Raises OutputError if it can't be written, InputError if a table of the result was deleted.
    """
    tables = [partOf(segmentationNode, role) for role in (LESIONS, SLICE_SCORES)]
    if None in tables:
        raise InputError(
            "The result can't be written: its table of lesions or of slices was deleted.", "Segment the study again."
        )
    isCorrected = markEditedIfChanged(segmentationNode)
    stem = fileStem(segmentationNode)
    _writeSegmentation(segmentationNode, folder / f"{stem}.seg.nrrd")
    _writeTable(tables[0], folder / f"{stem}_lesions.csv")
    _writeTable(tables[1], folder / f"{stem}_slices.csv")
    content = {"corrected_since": isCorrected, "segments": _provenance(segmentationNode)}
    (folder / f"{stem}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class OutlinedStudy:
    """Files from which the engine draws a page or a DICOM segmentation, and the report of the run behind them."""

    flair: Path
    labelmap: Path
    probability: Path | None
    report: dict[str, Any]


def whyNotOutlined(segmentationNode: Any) -> str:
    """Why a result can't be handed over as page or DICOM segmentation, in a sentence; "" where it can."""
    if not tumourSegmentIds(segmentationNode):
        return "This segmentation is no result of this module."
    if reportText(segmentationNode) is None:
        return "The report of the run that made this result is not in the scene any more."
    flairNode = _flairOf(segmentationNode)
    if flairNode is None or flairNode.GetImageData() is None:
        return "The FLAIR volume of this result is not in the scene any more."
    return ""


def checkOutlined(segmentationNode: Any) -> None:
    """Raises InputError where ``whyNotOutlined`` says so."""
    reason = whyNotOutlined(segmentationNode)
    if reason:
        raise InputError(reason, "Segment the study again.")


def writeOutlinedStudy(segmentationNode: Any, ijkToRas: Matrix, folder: Path) -> Generator[None, None, OutlinedStudy]:
    """Write FLAIR, the tumour as it is now and the probability, placed by a matrix, into an existing folder.

    One file at each step, for together they take long; returns what was written. The result is one for which
    ``checkOutlined`` raises nothing. Raises OutputError if a file can't be written.
    """
    flairNode, probabilityNode = _flairOf(segmentationNode), partOf(segmentationNode, PROBABILITY)
    paths = [folder / f"{name}.nrrd" for name in ("flair", "labelmap", "probability")]
    writeVolume(flairNode.GetImageData(), ijkToRas, paths[0])
    yield
    writeVoxels(tumourMask(segmentationNode, flairNode).astype(np.uint8), ijkToRas, paths[1])
    yield
    probability = None
    if probabilityNode is not None and probabilityNode.GetImageData() is not None:
        probability = paths[2]
        writeVolume(probabilityNode.GetImageData(), ijkToRas, probability)
    return OutlinedStudy(paths[0], paths[1], probability, _reportOf(segmentationNode))


def _reportOf(segmentationNode: Any) -> dict[str, Any]:
    """The kept report, with the threshold and smallest lesion that the outline has now."""
    report: dict[str, Any] = json.loads(reportText(segmentationNode) or "{}")
    limits = limitsOf(segmentationNode)
    if limits is not None:
        chosen = {THRESHOLD.name: limits.threshold, MIN_VOLUME.name: limits.minimumVolume_ml}
        report["settings"] = {**report["settings"], **chosen}
    return report


def _flairOf(segmentationNode: Any) -> Any:
    return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())


def _writeSegmentation(segmentationNode: Any, path: Path) -> None:
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.WriteData(segmentationNode):
        raise OutputError(f"The segmentation can't be written to {path.parent}.", "Choose another folder.")


def _writeTable(tableNode: Any, path: Path) -> None:
    table = tableNode.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([column.GetName() for column in columns])
        for row in range(table.GetNumberOfRows()):
            writer.writerow([column.GetValue(row) for column in columns])


def _provenance(segmentationNode: Any) -> list[dict[str, Any]]:
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetSegment(each) for each in ownSegmentIds(segmentationNode)]
    found = [(segment.GetName(), readProvenance(segment)) for segment in segments]
    return [{"segment": name, **each} for name, each in found if each is not None]
