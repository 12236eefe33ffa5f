"""The tumour probability as a volume node, for review and for a threshold of one's own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from BrainTumorSegLib.scene.ownNodes import PROBABILITY, partOf, partOrNew
from BrainTumorSegLib.scene.subjectHierarchy import placeBeside
from BrainTumorSegLib.scene.volumeGeometry import ijkToLocal, setIjkToLocal


def storeProbability(
    probability: npt.NDArray[np.float32],
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add or update the probability volume of a result, hidden; the slice views keep showing what they show.

    probability: float32 [K, J, I] on FLAIR's grid, 0-1. It is saved with the scene, and no list of volumes offers it.
    """
    made = slicer.vtkMRMLScalarVolumeNode()
    slicer.util.updateVolumeFromArray(made, probability)
    return placeProbability(made.GetImageData(), flairNode, segmentationNode)


def placeProbability(
    image: vtk.vtkImageData,
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> slicer.vtkMRMLScalarVolumeNode:
    """The same for voxels that are an image already, which is used and not copied."""
    name = f"{flairNode.GetName()} tumour probability"
    node = partOf(segmentationNode, PROBABILITY)
    if node is None:
        node = partOrNew(segmentationNode, PROBABILITY, "vtkMRMLScalarVolumeNode", name)
        node.SetHideFromEditors(True)
        # Before there are voxels: a display that is made for some looks at all of them to choose a window.
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAutoWindowLevel(False)
    node.SetAndObserveImageData(image)
    setIjkToLocal(node, ijkToLocal(flairNode))
    node.SetAndObserveTransformNodeID(flairNode.GetTransformNodeID())
    node.GetDisplayNode().SetWindowLevelMinMax(0.0, 1.0)
    return node


def offerProbability(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Let the probability stand beside FLAIR in the lists of volumes, as one that the user asked for."""
    node = partOf(segmentationNode, PROBABILITY)
    if node is not None:
        node.SetHideFromEditors(False)
        placeBeside(node, segmentationNode)
