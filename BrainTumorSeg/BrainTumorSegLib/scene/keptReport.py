"""The report of the run that made a result, kept with it: what a page for people and a DICOM segmentation tell of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import slicer

from BrainTumorSegLib.scene.ownNodes import REPORT, partOf, partOrNew, removePart


def keepReport(report: Mapping[str, Any], segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Keep the engine's report with a result, saved with the scene and offered in no list."""
    setReportText(segmentationNode, json.dumps(report, separators=(",", ":")))


def reportText(segmentationNode: slicer.vtkMRMLSegmentationNode) -> str | None:
    """The report as it was kept; None where it was removed."""
    node = partOf(segmentationNode, REPORT)
    return None if node is None else str(node.GetText())


def setReportText(segmentationNode: slicer.vtkMRMLSegmentationNode, text: str | None) -> None:
    """Replace the kept report; None removes it."""
    if text is None:
        removePart(segmentationNode, REPORT)
        return
    node = partOrNew(segmentationNode, REPORT, "vtkMRMLTextNode", f"{segmentationNode.GetName()} report")
    node.SetHideFromEditors(True)
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeNever)  # in the scene, no file of its own
    node.SetText(text)
