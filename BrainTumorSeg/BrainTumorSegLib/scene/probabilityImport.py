"""The tumour probability as a volume node, for review and for a threshold of one's own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer

from BrainTumorSegLib.scene.ownNodes import PROBABILITY, partOrNew
from BrainTumorSegLib.scene.subjectHierarchy import placeBeside
from BrainTumorSegLib.scene.volumeGeometry import ijkToLocal, setIjkToLocal


def showProbability(
    probability: npt.NDArray[np.float32],
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add or update the probability volume of a result; the slice views keep showing what they show.

    probability: float32 [K, J, I] on FLAIR's grid, 0-1.
    """
    name = f"{flairNode.GetName()} tumour probability"
    node = partOrNew(segmentationNode, PROBABILITY, "vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, probability)
    setIjkToLocal(node, ijkToLocal(flairNode))
    node.SetAndObserveTransformNodeID(flairNode.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    placeBeside(node, flairNode)
    return node
