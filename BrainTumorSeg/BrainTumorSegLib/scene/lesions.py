"""A tumour's lesions one by one: taken out, split into segments of their own, joined again."""

from __future__ import annotations

import numpy as np
import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.colours import otherColour
from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.provenance import (
    copyProvenance,
    isEdited,
    markPart,
    markWritten,
    tumourSegmentIds,
)
from BrainTumorSegLib.scene.remeasure import followEdits, geometryOf, isMeasured, markMeasured, tumourMask
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from BrainTumorSegLib.scene.undo import SegmentationUndo

_CHANGED = ("The segmentation has just been changed; the table shows its lesions now.", "Choose the lesion again.")


def removeLesion(segmentationNode: slicer.vtkMRMLSegmentationNode, lesionId: int, undo: SegmentationUndo) -> None:
    """Take a lesion of the table out of its segment and measure the rest; one step of the undo.

    Raises InputError where the table is not about what the segment holds now, or FLAIR is gone.
    """
    from BrainTumorSegLib.engine.measurement.lesions import lesion_ids

    flairNode = _measuredFlair(segmentationNode)
    undo.save(segmentationNode)
    gone = lesion_ids(tumourMask(segmentationNode, flairNode), geometryOf(flairNode)) == lesionId
    for segmentId in tumourSegmentIds(segmentationNode):
        mask = maskOnVolume(segmentationNode, segmentId, flairNode)
        if np.any(mask & gone):
            writeMask(segmentationNode, segmentId, mask & ~gone, flairNode)
    followEdits(segmentationNode)


def isSplit(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether the tumour is in several segments."""
    return len(tumourSegmentIds(segmentationNode)) > 1


def splitLesions(segmentationNode: slicer.vtkMRMLSegmentationNode, undo: SegmentationUndo) -> None:
    """Give every lesion of the table a segment of its own, named and numbered as there; one step of the undo.

    Raises InputError as ``removeLesion`` does.
    """
    flairNode = _measuredFlair(segmentationNode)
    undo.save(segmentationNode)
    joinLesions(segmentationNode)
    _split(segmentationNode, flairNode)


def splitAgain(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Split lesions that were joined for a change which is a step of the undo already.

    Raises InputError as ``removeLesion`` does.
    """
    flairNode = _measuredFlair(segmentationNode)
    lesionsNode = partOf(segmentationNode, LESIONS)
    if lesionsNode is not None and lesionsNode.GetNumberOfRows() > 1:
        _split(segmentationNode, flairNode)


def _split(segmentationNode: slicer.vtkMRMLSegmentationNode, flairNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    from BrainTumorSegLib.engine.measurement.lesions import lesion_ids

    (firstId,) = tumourSegmentIds(segmentationNode)
    segmentation = segmentationNode.GetSegmentation()
    first = segmentation.GetSegment(firstId)
    ids = lesion_ids(tumourMask(segmentationNode, flairNode), geometryOf(flairNode))
    name, wasEdited = first.GetName(), isEdited(segmentationNode, firstId)
    segmentIds = [firstId]
    for number in range(2, int(ids.max()) + 1):
        segmentIds.append(
            segmentation.AddEmptySegment("", f"{name} {number}", otherColour(first.GetColor(), number - 1))
        )
        copyProvenance(first, segmentation.GetSegment(segmentIds[-1]))
    for number, segmentId in enumerate(segmentIds, start=1):
        writeMask(segmentationNode, segmentId, ids == number, flairNode)
        markPart(segmentation.GetSegment(segmentId), isPart=True)
        if not wasEdited:
            markWritten(segmentationNode, segmentId)
    first.SetName(f"{name} 1")
    markMeasured(segmentationNode)


def joinLesions(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Put all lesions back into one segment; a tumour in one segment stays as it is."""
    segmentIds = tumourSegmentIds(segmentationNode)
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    if len(segmentIds) < 2 or flairNode is None:
        return
    segmentation = segmentationNode.GetSegmentation()
    first = segmentation.GetSegment(segmentIds[0])
    wasEdited = any(isEdited(segmentationNode, each) for each in segmentIds)
    mask = tumourMask(segmentationNode, flairNode)
    for segmentId in segmentIds[1:]:
        segmentation.RemoveSegment(segmentId)
    writeMask(segmentationNode, segmentIds[0], mask, flairNode)
    markPart(first, isPart=False)
    first.SetName(first.GetName().removesuffix(" 1"))
    if not wasEdited:
        markWritten(segmentationNode, segmentIds[0])
    markMeasured(segmentationNode)


def _measuredFlair(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLScalarVolumeNode:
    """The FLAIR on which the table's lesions lie, if the table is about them as they are."""
    if partOf(segmentationNode, LESIONS) is None or not isMeasured(segmentationNode):
        followEdits(segmentationNode)
        raise InputError(*_CHANGED)
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    if flairNode is None or flairNode.GetImageData() is None:
        raise InputError("The FLAIR volume of this result is not in the scene any more.", "Load it again.")
    return flairNode
