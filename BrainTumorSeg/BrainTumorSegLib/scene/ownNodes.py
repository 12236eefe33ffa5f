"""The nodes that a result consists of besides its segmentation, and how they are found again after save and load."""

from __future__ import annotations

import slicer

PROBABILITY = "BrainTumorSeg.Probability"
SLICE_SCORES = "BrainTumorSeg.SliceScores"
LESIONS = "BrainTumorSeg.Lesions"
REPORT = "BrainTumorSeg.Report"
REGISTERED = {"t1": "BrainTumorSeg.RegisteredT1", "t1c": "BrainTumorSeg.RegisteredT1c"}
"""By sequence: a copy of its volume where the registration put it."""

REFINED = "BrainTumorSeg.Refined"
"""The outline as the last refinement left it, and what was drawn by hand until then."""
INPUTS = {"t1": "BrainTumorSeg.InputT1", "t1c": "BrainTumorSeg.InputT1c"}
"""By sequence: the user's volume from which the result was made."""

_OWN_ATTRIBUTE = "BrainTumorSeg.Role"


def isOwn(node: slicer.vtkMRMLNode) -> bool:
    """Whether this module made the node as a part of a result."""
    return node.GetAttribute(_OWN_ATTRIBUTE) is not None


def partOf(segmentationNode: slicer.vtkMRMLSegmentationNode, role: str) -> slicer.vtkMRMLNode | None:
    """The node that plays ``role`` (one of the names above) in a segmentation's result, if it is there."""
    node = segmentationNode.GetNodeReference(role)
    # An ID may have come to belong to another node where the one that is meant was not saved with the scene.
    return node if node is not None and node.GetAttribute(_OWN_ATTRIBUTE) == role else None


def partOrNew(
    segmentationNode: slicer.vtkMRMLSegmentationNode, role: str, className: str, name: str
) -> slicer.vtkMRMLNode:
    """The node that plays ``role``; a new one, referred to from the segmentation, where there is none."""
    node = partOf(segmentationNode, role)
    if node is None:
        scene = segmentationNode.GetScene()
        node = scene.AddNewNodeByClass(className, scene.GenerateUniqueName(name))
        node.SetAttribute(_OWN_ATTRIBUTE, role)
        segmentationNode.SetNodeReferenceID(role, node.GetID())
    return node


def removePart(segmentationNode: slicer.vtkMRMLSegmentationNode, role: str) -> None:
    """Remove the node that plays ``role``, for a newer result has none."""
    node = partOf(segmentationNode, role)
    if node is not None:
        segmentationNode.GetScene().RemoveNode(node)
