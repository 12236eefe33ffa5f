"""The volumes from which a result was made, as they were segmented."""

from __future__ import annotations

import json
from dataclasses import dataclass

import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.scene.ownNodes import INPUTS, REGISTERED, partOf
from BrainTumorSegLib.scene.provenance import INPUT_UIDS, tagOf, tumourSegmentIds


@dataclass(frozen=True)
class ResultInputs:
    """Where T1 or T1 with contrast was registered, it is the copy that lies where the registration put it."""

    flair: slicer.vtkMRMLScalarVolumeNode
    t1: slicer.vtkMRMLScalarVolumeNode | None
    t1c: slicer.vtkMRMLScalarVolumeNode | None
    model: str
    classifierSha256: str | None


def resultInputsOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> ResultInputs:
    """What a result was made from and by which model. Raises InputError where a volume is not in the scene any more."""
    ids = tumourSegmentIds(segmentationNode)
    if not ids:
        raise InputError("This segmentation is no result of this module.", "Segment the study, then try again.")
    segment = segmentationNode.GetSegmentation().GetSegment(ids[0])
    used = json.loads(tagOf(segment, INPUT_UIDS) or "{}")
    flair = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    t1, t1c = (
        partOf(segmentationNode, REGISTERED[name]) or segmentationNode.GetNodeReference(INPUTS[name])
        for name in ("t1", "t1c")
    )
    for role, node in ((Role.FLAIR, flair), (Role.T1, t1), (Role.T1C, t1c)):
        if node is None and role.value in used:
            raise InputError(
                f"The {role.label} volume that this result was made from is not in the scene any more.",
                "Load it and segment the study again.",
            )
    model = (tagOf(segment, "BrainTumorSeg.Model") or "").rsplit(" ", 1)[0]
    return ResultInputs(flair, t1, t1c, model, tagOf(segment, "BrainTumorSeg.ClassifierSHA256"))
