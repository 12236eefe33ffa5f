"""Two outlines over each other in the slice views, in the source paper's colours, and away again without a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import slicer

from BrainTumorSegLib.scene.comparisonExport import comparedSegmentIds
from BrainTumorSegLib.scene.volumeGeometry import localToWorld

REFERENCE_COLOUR = (1.0, 0.0, 0.0)
RESULT_COLOUR = (0.0, 1.0, 0.0)
_FILL, _THICKNESS_PX = 0.15, 2
_SHOWN = "BrainTumorSeg.Comparison"
"""Marks the nodes that are here only while a comparison is shown."""
_HIDDEN = "BrainTumorSeg.HiddenForComparison"
"""Marks a segmentation whose own outline is hidden meanwhile; a scene may be saved like this."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def showComparison(referenceNode: Any, resultNode: Any, motion: Mapping[str, Any] | None) -> None:
    """Draw the reference red and the result green, and neither in its own colours.

    motion: how the result's study was moved onto the reference's; here the reference comes to the result.
    """
    hideComparison()
    moved = np.eye(4)
    if motion is not None:
        moved = _LPS_TO_RAS @ np.reshape(motion["flair_to_sequence_lps"], (4, 4)) @ _LPS_TO_RAS
    _draw(referenceNode, REFERENCE_COLOUR, moved)
    _draw(resultNode, RESULT_COLOUR, np.eye(4))
    for node in (referenceNode, resultNode):
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetAttribute(_HIDDEN, str(int(display.GetVisibility2D())))
        display.SetVisibility2D(False)


def hideComparison() -> None:
    """Take it away, also one that a scene was saved with."""
    for className in ("vtkMRMLSegmentationNode", "vtkMRMLLinearTransformNode"):
        for node in slicer.util.getNodesByClass(className):
            if node.GetAttribute(_SHOWN):
                slicer.mrmlScene.RemoveNode(node)
    for display in slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode"):
        wasShown = display.GetAttribute(_HIDDEN)
        if wasShown is not None:
            display.SetVisibility2D(bool(int(wasShown)))
            display.RemoveAttribute(_HIDDEN)


def _draw(segmentationNode: Any, colour: Sequence[float], moved: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """A copy of what is compared in one colour, where it lies in the world after a motion (RAS, mm)."""
    copy = _added(slicer.vtkMRMLSegmentationNode())
    transform = _added(slicer.vtkMRMLLinearTransformNode())
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved @ localToWorld(segmentationNode)))
    copy.SetAndObserveTransformNodeID(transform.GetID())
    copy.CreateDefaultDisplayNodes()
    display = copy.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility3D(False)
    display.SetOpacity2DFill(_FILL)
    display.SetSliceIntersectionThickness(_THICKNESS_PX)
    source, segmentation = segmentationNode.GetSegmentation(), copy.GetSegmentation()
    for each in comparedSegmentIds(segmentationNode):
        segmentation.CopySegmentFromSegmentation(source, each)
        segmentation.GetSegment(each).SetColor(*colour)


def _added(node: Any) -> Any:
    node.SetAttribute(_SHOWN, "1")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)
