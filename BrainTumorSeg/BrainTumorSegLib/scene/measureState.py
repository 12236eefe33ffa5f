"""Whether a result's numbers are those of its segment as it is now."""

from __future__ import annotations

import slicer

from BrainTumorSegLib.scene.fingerprint import Fingerprint, fingerprintOf
from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.provenance import markEditedIfChanged, ownSegmentIds
from BrainTumorSegLib.scene.remeasure import remeasure

_ATTRIBUTE = "BrainTumorSeg.MeasuredFingerprint"


def isMeasured(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether the tables describe the segment as it is: nobody corrected it, or it was measured since.

    Marks a corrected segment as such on the way.
    """
    if not markEditedIfChanged(segmentationNode):
        return True
    lesionsNode = partOf(segmentationNode, LESIONS)
    text = lesionsNode.GetAttribute(_ATTRIBUTE) if lesionsNode is not None else None
    if not text:
        return False
    return Fingerprint.ofText(text).agreesWith(fingerprintOf(segmentationNode, ownSegmentIds(segmentationNode)[0]))


def measureAgain(segmentationNode: slicer.vtkMRMLSegmentationNode) -> float:
    """Bring the tables up to date, remember it with them, and return the volume in mL. Raises InputError."""
    volume_ml = remeasure(segmentationNode)
    now = fingerprintOf(segmentationNode, ownSegmentIds(segmentationNode)[0])
    lesionsNode = partOf(segmentationNode, LESIONS)
    if lesionsNode is not None:  # it is: remeasure has filled it
        lesionsNode.SetAttribute(_ATTRIBUTE, now.toText())
    return volume_ml
