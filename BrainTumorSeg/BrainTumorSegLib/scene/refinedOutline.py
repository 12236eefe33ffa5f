"""The outline as a refinement left it and what was drawn by hand until then, kept with the scene in a hidden node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from BrainTumorSegLib.scene.ownNodes import REFINED, partOf, partOrNew
from BrainTumorSegLib.scene.segmentVoxels import Mask

_OUTLINE, _DRAWN = 1, 2


@dataclass(frozen=True)
class RefinedOutline:
    """Each bool [K, J, I] on FLAIR's grid. drawn: somebody has said what is there, be it tumour or not."""

    outline: Mask
    drawn: Mask


def refinedOutlineOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> RefinedOutline | None:
    """What the last refinement of a result left; None for one that has not been refined."""
    node = partOf(segmentationNode, REFINED)
    if node is None or node.GetImageData() is None:
        return None
    bits = slicer.util.arrayFromVolume(node)
    return RefinedOutline(bits & _OUTLINE > 0, bits & _DRAWN > 0)


def keepRefined(segmentationNode: slicer.vtkMRMLSegmentationNode, refined: RefinedOutline) -> None:
    """Remember what a refinement has left."""
    made = slicer.vtkMRMLLabelMapVolumeNode()
    bits = refined.outline * np.uint8(_OUTLINE) | refined.drawn * np.uint8(_DRAWN)
    slicer.util.updateVolumeFromArray(made, bits)
    placeRefined(segmentationNode, made.GetImageData())


def placeRefined(segmentationNode: slicer.vtkMRMLSegmentationNode, image: vtk.vtkImageData) -> None:
    """The same for voxels that were kept before, which are used and not copied. Where they lie FLAIR knows."""
    node = partOf(segmentationNode, REFINED)
    if node is None:
        node = partOrNew(
            segmentationNode, REFINED, "vtkMRMLLabelMapVolumeNode", f"{segmentationNode.GetName()} refined"
        )
        node.SetHideFromEditors(True)
    node.SetAndObserveImageData(image)
