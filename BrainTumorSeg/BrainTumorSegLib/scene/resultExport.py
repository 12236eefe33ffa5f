"""A result of the scene as files: the segmentation as it is now, its measurements and where it comes from."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import slicer

from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.files import atomic_paths
from BrainTumorSegLib.scene.ownNodes import LESIONS, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.provenance import markEditedIfChanged, ownSegmentIds, readProvenance


def writeResultFolder(segmentationNode: Any, folder: Path) -> tuple[Path, ...]:
    """Write segmentation (.seg.nrrd), lesions and slices (.csv) and provenance (.json); all of them or none.

    Raises OutputError if the folder can't be written, InputError if a table of the result was deleted.
    """
    tables = [partOf(segmentationNode, role) for role in (LESIONS, SLICE_SCORES)]
    if None in tables:
        raise InputError(
            "The result can't be written: its table of lesions or of slices was deleted.", "Segment the study again."
        )
    isCorrected = markEditedIfChanged(segmentationNode)
    stem = re.sub(r"[^\w.-]+", "_", segmentationNode.GetName()).strip("_") or "segmentation"
    targets = [folder / f"{stem}{ending}" for ending in (".seg.nrrd", "_lesions.csv", "_slices.csv", ".json")]
    with atomic_paths(targets) as (segmentation, lesions, slices, provenance):
        _writeSegmentation(segmentationNode, segmentation)
        _writeTable(tables[0], lesions)
        _writeTable(tables[1], slices)
        content = {"corrected_since": isCorrected, "segments": _provenance(segmentationNode)}
        provenance.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return tuple(targets)


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
