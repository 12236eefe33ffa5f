"""What made a segment, kept in its tags, which survive .mrb and .seg.nrrd, and whether someone has edited it since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

import slicer
import vtk

from BrainTumorSegLib.scene.fingerprint import Fingerprint, fingerprintOf
from BrainTumorSegLib.scene.segmentDescription import SegmentDescription

ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"
INPUT_UIDS = "BrainTumorSeg.InputUids"
_FINGERPRINT = "BrainTumorSeg.Fingerprint"
_PART = "BrainTumorSeg.Part"

# The engine's tags (engine/output/seg_nrrd.py) and ours; VTK's Python can't list the tags that a segment has.
PROVENANCE_TAGS = (
    ALGORITHM_TYPE,
    "DICOM.SegmentAlgorithmName",
    "BrainTumorSeg.Version",
    "BrainTumorSeg.Model",
    "BrainTumorSeg.ModelSHA256",
    "BrainTumorSeg.ModelLicence",
    "BrainTumorSeg.Classifier",
    "BrainTumorSeg.ClassifierSHA256",
    "BrainTumorSeg.ClassifierLicence",
    "BrainTumorSeg.Threshold",
    "BrainTumorSeg.Gate",
    "BrainTumorSeg.MinimumVolume_mL",
    "BrainTumorSeg.TestTimeAugmentation",
    "BrainTumorSeg.Device",
    "BrainTumorSeg.Precision",
    INPUT_UIDS,
)


class AlgorithmType(StrEnum):
    """DICOM Segment Algorithm Type (0062,0008)."""

    AUTOMATIC = "AUTOMATIC"
    SEMIAUTOMATIC = "SEMIAUTOMATIC"


def writeProvenance(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    segmentId: str,
    description: SegmentDescription,
    inputUids: Mapping[str, str],
) -> None:
    """Tag a segment into which the engine's voxels have just been written.

    inputUids: DICOM series UID by sequence ("flair", "t1", "t1c"), "" where the volume did not come from DICOM.
    """
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    for name in PROVENANCE_TAGS:
        segment.RemoveTag(name)
    description.applyTo(segment)
    segment.SetTag(INPUT_UIDS, json.dumps(dict(inputUids), separators=(",", ":")))
    markWritten(segmentationNode, segmentId)


def markWritten(segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str) -> None:
    """Remember that the segment holds now what the engine's probability and settings give, and no hand's work."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    segment.SetTag(_FINGERPRINT, fingerprintOf(segmentationNode, segmentId).toText())


def readProvenance(segment: slicer.vtkSegment) -> dict[str, str] | None:
    """Those of PROVENANCE_TAGS that a segment has; None for one that this module did not make."""
    if tagOf(segment, _FINGERPRINT) is None:
        return None
    found = {name: tagOf(segment, name) for name in PROVENANCE_TAGS}
    return {name: text for name, text in found.items() if text is not None}


def ownSegmentIds(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[str, ...]:
    """The segments that this module made, in the node's order; a copy made by the user counts."""
    segmentation = segmentationNode.GetSegmentation()
    ids = (segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments()))
    return tuple(each for each in ids if tagOf(segmentation.GetSegment(each), _FINGERPRINT) is not None)


def tumourSegmentIds(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[str, ...]:
    """The segments that together are the tumour: one, or one a lesion after they were split; () for no result."""
    ids = ownSegmentIds(segmentationNode)
    segmentation = segmentationNode.GetSegmentation()
    if not ids or tagOf(segmentation.GetSegment(ids[0]), _PART) is None:
        return ids[:1]
    return tuple(each for each in ids if tagOf(segmentation.GetSegment(each), _PART) is not None)


def markPart(segment: slicer.vtkSegment, isPart: bool) -> None:
    """Say in a segment's tags whether it is one lesion of several."""
    if isPart:
        segment.SetTag(_PART, "lesion")
    else:
        segment.RemoveTag(_PART)


def copyProvenance(source: slicer.vtkSegment, target: slicer.vtkSegment) -> None:
    """Give a segment the terminology and provenance of the one from which it was made."""
    for name in (*PROVENANCE_TAGS, _FINGERPRINT, "TerminologyEntry"):
        text = tagOf(source, name)
        if text is not None:
            target.SetTag(name, text)


def isEdited(segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str) -> bool:
    """Whether someone has changed a segment of ours since the engine made it."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    if not isCalledAutomatic(segment):
        return True
    written = Fingerprint.ofText(tagOf(segment, _FINGERPRINT) or "")
    return not written.agreesWith(fingerprintOf(segmentationNode, segmentId))


def isCalledAutomatic(segment: slicer.vtkSegment) -> bool:
    """Whether a segment's tag says that nobody has edited it; what was just edited may not be marked yet."""
    return tagOf(segment, ALGORITHM_TYPE) == AlgorithmType.AUTOMATIC.value


def markEditedIfChanged(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Call edited segments of ours SEMIAUTOMATIC, as DICOM asks; return whether any is edited.

    To be called when the Segment Editor is left and before export.
    """
    segmentation = segmentationNode.GetSegmentation()
    edited = [each for each in ownSegmentIds(segmentationNode) if isEdited(segmentationNode, each)]
    for segmentId in edited:
        segment = segmentation.GetSegment(segmentId)
        if tagOf(segment, ALGORITHM_TYPE) != AlgorithmType.SEMIAUTOMATIC.value:
            segment.SetTag(ALGORITHM_TYPE, AlgorithmType.SEMIAUTOMATIC.value)
    return bool(edited)


def tagOf(segment: slicer.vtkSegment, name: str) -> str | None:
    """A segment's tag, None where it has none of that name."""
    found = vtk.reference("")
    return str(found) if segment.GetTag(name, found) else None
