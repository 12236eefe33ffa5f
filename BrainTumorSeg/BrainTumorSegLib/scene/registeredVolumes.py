"""T1 volumes where the registration to FLAIR put them: copies to look at, the originals stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from BrainTumorSegLib.scene.ownNodes import REGISTERED, partOrNew, removePart
from BrainTumorSegLib.scene.studyExport import ExportedStudy, ExportedVolume
from BrainTumorSegLib.scene.subjectHierarchy import placeBeside
from BrainTumorSegLib.scene.volumeGeometry import Matrix, localToWorld, setIjkToLocal

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def showRegistered(
    report: Mapping[str, Any],
    study: ExportedStudy,
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode,
) -> None:
    """Add or update a copy of each sequence that was moved; remove that of one which was not, or whose volume is gone.

    A copy shares the voxels of its original and lies under FLAIR's parent transform.
    """
    for sequence, exported in (("t1", study.t1), ("t1c", study.t1c)):
        motion = report["motions"][sequence]
        original = None if exported is None else flairNode.GetScene().GetNodeByID(exported.nodeId)
        if motion is None or exported is None or original is None:
            removePart(segmentationNode, REGISTERED[sequence])
            continue
        name = f"{original.GetName()} on {flairNode.GetName()}"
        copy = partOrNew(segmentationNode, REGISTERED[sequence], "vtkMRMLScalarVolumeNode", name)
        copy.SetAndObserveImageData(original.GetImageData())
        copy.SetAndObserveTransformNodeID(flairNode.GetTransformNodeID())
        setIjkToLocal(copy, np.linalg.inv(localToWorld(flairNode)) @ _movedIjkToWorld(exported, motion))
        copy.CreateDefaultDisplayNodes()
        placeBeside(copy, flairNode)


def _movedIjkToWorld(exported: ExportedVolume, motion: Mapping[str, Any]) -> Matrix:
    """From voxels to where they lie in FLAIR's world (RAS): the engine's matrix goes the other way, in LPS."""
    toSequence = np.reshape(motion["flair_to_sequence_lps"], (4, 4))
    moved: Matrix = _LPS_TO_RAS @ np.linalg.inv(toSequence) @ _LPS_TO_RAS @ exported.ijkToWorld
    return moved
