"""The engine's result into the scene: one segmentation node and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.colours import freeColour
from BrainTumorSegLib.scene.keptReport import keepReport
from BrainTumorSegLib.scene.lesions import joinLesions
from BrainTumorSegLib.scene.ownNodes import INPUTS, PROBABILITY, REFINED, removePart
from BrainTumorSegLib.scene.probabilityImport import storeProbability
from BrainTumorSegLib.scene.provenance import isEdited, ownSegmentIds, writeProvenance
from BrainTumorSegLib.scene.registeredVolumes import showRegistered
from BrainTumorSegLib.scene.remeasure import markMeasured
from BrainTumorSegLib.scene.resultFiles import ResultImage, readOnGrid
from BrainTumorSegLib.scene.resultTables import showLesions, showSliceScores
from BrainTumorSegLib.scene.segmentDescription import SegmentDescription
from BrainTumorSegLib.scene.segmentVoxels import Mask, writeMask
from BrainTumorSegLib.scene.studyExport import ExportedStudy
from BrainTumorSegLib.scene.subjectHierarchy import placeBeside
from BrainTumorSegLib.scene.undo import SegmentationUndo

FILL = 0.2
"""Opacity of a new result's area in slice views, 0-1; its border is opaque. Slicer's half hides the tissue within."""


class EditedPolicy(Enum):
    """What to do when the chosen segmentation holds a tumour that someone has corrected."""

    KEEP = "keep"
    """Leave it alone and put the result into a new segmentation."""
    REPLACE = "replace"
    """Replace it after saving the state for undo."""


@dataclass(frozen=True)
class ResultFiles:
    """What the engine wrote: probability is None where none was asked for."""

    segmentation: Path
    probability: Path | None = None


@dataclass(frozen=True)
class ReadResult:
    """The engine's files in memory, on the study's grid. probability: float32 [K, J, I], None where there is none."""

    segmentation: ResultImage
    probability: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class ImportedResult:
    """The result as it now is in the scene.

    message: the report's summary, one sentence for the user, also where no tumour was found. keptEdited: the chosen
    segmentation had been edited, so this is a new one.
    undoable: earlier contents were replaced and can be brought back.
    """

    segmentationNode: slicer.vtkMRMLSegmentationNode
    segmentId: str
    message: str
    keptEdited: bool
    undoable: bool
    sliceScoresNode: slicer.vtkMRMLTableNode
    lesionsNode: slicer.vtkMRMLTableNode
    probabilityNode: slicer.vtkMRMLScalarVolumeNode | None


def readResult(files: ResultFiles, study: ExportedStudy) -> ReadResult:
    """Read what the engine wrote. Raises BrainTumorSegError if a file is unreadable or lies on another grid."""
    segmentation = readOnGrid(files.segmentation, study.flair)
    if files.probability is None:
        return ReadResult(segmentation, None)
    probability = readOnGrid(files.probability, study.flair).voxels
    return ReadResult(segmentation, probability.astype(np.float32, copy=False))


def importResult(
    read: ReadResult,
    report: Mapping[str, Any],
    study: ExportedStudy,
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
    undo: SegmentationUndo,
    policy: EditedPolicy = EditedPolicy.KEEP,
) -> ImportedResult:
    """Show a finished job's result; its surface is left to ``showSurface``. ``segmentationNode``: where the user wants
    it, None for a new node.

    Voxels go onto FLAIR's grid in its own coordinates, under its parent transform, so both stay aligned when that
    moves. Raises InputError if FLAIR is gone or has another size by now.
    """
    _checkFlair(flairNode, study)
    described = SegmentDescription.ofHeader(read.segmentation.fields)
    target, keptEdited = _targetNode(segmentationNode, flairNode, policy)
    description = replace(described, colour=freeColour(described.colour, _coloursBeside(target, flairNode)))
    undoable = target.GetSegmentation().GetNumberOfSegments() > 0
    if undoable:
        undo.save(target)
        joinLesions(target)
    segmentId = _writeSegment(target, read.segmentation.voxels != 0, flairNode, description)
    writeProvenance(target, segmentId, description, study.inputUids())
    removePart(target, REFINED)
    for sequence, exported in (("t1", study.t1), ("t1c", study.t1c)):
        target.SetNodeReferenceID(INPUTS[sequence], exported.nodeId if exported is not None else None)
    name = f"{flairNode.GetName()} tumour"
    if read.probability is None:
        removePart(target, PROBABILITY)
        probabilityNode = None
    else:
        probabilityNode = storeProbability(read.probability, flairNode, target)
    showRegistered(report, study, flairNode, target)
    sliceScoresNode = showSliceScores(report, target, f"{name} slices")
    lesionsNode = showLesions(report, target, f"{name} lesions")
    keepReport(report, target)
    markMeasured(target)
    return ImportedResult(
        target,
        segmentId,
        report["summary"],
        keptEdited,
        undoable,
        sliceScoresNode,
        lesionsNode,
        probabilityNode,
    )


def showSurface(result: ImportedResult) -> None:
    """Make the surface that 3D views show, unless the result was removed meanwhile."""
    if result.segmentationNode.GetScene() is not None:
        result.segmentationNode.CreateClosedSurfaceRepresentation()


def hasEditedTumour(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
    """Whether a segmentation holds a tumour of ours that someone has corrected: time to ask which policy to take."""
    if segmentationNode is None:
        return False
    ids = ownSegmentIds(segmentationNode)
    return bool(ids) and all(isEdited(segmentationNode, each) for each in ids)


def _checkFlair(flairNode: slicer.vtkMRMLScalarVolumeNode, study: ExportedStudy) -> None:
    if flairNode is None or flairNode.GetScene() is None:
        raise InputError(
            "The FLAIR volume was removed from the scene while it was being segmented.",
            "Load the study again, then segment again.",
        )
    image = flairNode.GetImageData()
    size = image.GetDimensions() if image is not None else (0, 0, 0)
    if size != study.flair.sizeIjk:
        raise InputError(
            f"The FLAIR volume was changed while it was being segmented: from {study.flair.sizeIjk} to {size} voxels.",
            "Segment again.",
        )


def _targetNode(
    segmentationNode: slicer.vtkMRMLSegmentationNode | None,
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    policy: EditedPolicy,
) -> tuple[slicer.vtkMRMLSegmentationNode, bool]:
    """The node to write into, and whether an edited one was left alone for it."""
    gone = segmentationNode is None or segmentationNode.GetScene() is None
    keepEdited = policy is EditedPolicy.KEEP and not gone and hasEditedTumour(segmentationNode)
    if gone or keepEdited:
        return _newNode(flairNode), keepEdited
    return segmentationNode, False


def _newNode(flairNode: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    scene = flairNode.GetScene()
    name = scene.GenerateUniqueName(f"{flairNode.GetName()} segmentation")
    return scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)


def _writeSegment(
    node: slicer.vtkMRMLSegmentationNode,
    mask: Mask,
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    description: SegmentDescription,
) -> str:
    """Put the mask into our segment of a node, made where there is none, and return its ID."""
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        _adoptFlair(node, flairNode)
    segmentId = _ownSegmentId(node)
    if not segmentId:
        name = _freeName(segmentation, description.name)
        segmentId = segmentation.AddEmptySegment("", name, description.colour)
    writeMask(node, segmentId, mask, flairNode)
    return str(segmentId)


def _adoptFlair(node: slicer.vtkMRMLSegmentationNode, flairNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Give an empty segmentation FLAIR's place: transform, grid, study, and a display of its own."""
    node.SetAndObserveTransformNodeID(flairNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(flairNode)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetOpacity2DFill(FILL)
    placeBeside(node, flairNode)


def _ownSegmentId(node: slicer.vtkMRMLSegmentationNode) -> str:
    """The segment to replace: one that nobody edited, else the first of ours; "" where there is none."""
    ids = ownSegmentIds(node)
    untouched = [each for each in ids if not isEdited(node, each)]
    return next(iter((*untouched, *ids)), "")


def _coloursBeside(
    node: slicer.vtkMRMLSegmentationNode, flairNode: slicer.vtkMRMLScalarVolumeNode
) -> list[tuple[float, float, float]]:
    """Colours of the results that lie on the same FLAIR in other segmentations: one over the other is one too many."""
    role = node.GetReferenceImageGeometryReferenceRole()
    others = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", node.GetScene())
    return [
        other.GetSegmentation().GetSegment(segmentId).GetColor()
        for other in others
        if other is not node and other.GetNodeReference(role) is flairNode
        for segmentId in ownSegmentIds(other)
    ]


def _freeName(segmentation: slicer.vtkSegmentation, wanted: str) -> str:
    """The wanted name, with " 2" and so on where the user has segments of that name."""
    name, number = wanted, 1
    while segmentation.GetSegmentIdBySegmentName(name):
        number += 1
        name = f"{wanted} {number}"
    return name
