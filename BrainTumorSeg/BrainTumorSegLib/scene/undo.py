"""A result as it was before another replaced it, so that one click brings it back whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import slicer
import vtk

from BrainTumorSegLib.scene.keptReport import reportText, setReportText
from BrainTumorSegLib.scene.ownNodes import LESIONS, PROBABILITY, REFINED, SLICE_SCORES, partOf, partOrNew, removePart
from BrainTumorSegLib.scene.probabilityImport import placeProbability
from BrainTumorSegLib.scene.refinedOutline import placeRefined
from BrainTumorSegLib.scene.resultTables import placeTable

# As many as Slicer's Segment Editor keeps by default; a segment is small, a probability volume 10 to 20 MB.
STATES_A_NODE = 5


@dataclass(frozen=True)
class _Table:
    """A table's contents and what its node says of them; the node may be deleted meanwhile."""

    name: str
    contents: vtk.vtkTable
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class _State:
    """Copies of segments, tables by role and report; of probability and refined outline nobody changes the voxels."""

    segmentation: slicer.vtkSegmentation
    tables: Mapping[str, _Table]
    probability: vtk.vtkImageData | None
    refined: vtk.vtkImageData | None
    report: str | None


class SegmentationUndo:
    """Keeps the last states of each segmentation that results were written into."""

    def __init__(self) -> None:
        self._states: dict[str, deque[_State]] = {}

    def save(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Keep segments, tables, probability and report as they are now."""
        states = self._states.setdefault(segmentationNode.GetID(), deque(maxlen=STATES_A_NODE))
        states.append(_stateOf(segmentationNode))

    def isAvailable(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether there is a state to go back to."""
        return bool(self._states.get(segmentationNode.GetID()))

    def restore(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Bring back the state before the last result and forget it; False where there is none."""
        states = self._states.get(segmentationNode.GetID())
        if not states:
            return False
        state = states.pop()
        segmentation = segmentationNode.GetSegmentation()
        segmentation.DeepCopy(state.segmentation)
        for index in range(segmentation.GetNumberOfSegments()):
            # VTK observes copied segments only from their first change on: the next edit would not be noticed.
            segmentation.GetNthSegment(index).Modified()
        for role in (LESIONS, SLICE_SCORES):
            _restoreTable(segmentationNode, role, state.tables.get(role))
        _restoreProbability(segmentationNode, state.probability)
        if state.refined is None:
            removePart(segmentationNode, REFINED)
        else:
            placeRefined(segmentationNode, state.refined)
        setReportText(segmentationNode, state.report)
        return True

    def forget(self) -> None:
        """Drop every state: when the scene is closed, for node IDs come again in the next one."""
        self._states.clear()


def _stateOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> _State:
    segmentation = slicer.vtkSegmentation()
    segmentation.DeepCopy(segmentationNode.GetSegmentation())
    nodes = {role: partOf(segmentationNode, role) for role in (LESIONS, SLICE_SCORES)}
    tables = {role: _copyOf(node) for role, node in nodes.items() if node is not None}
    probability, refined = (_imageOf(segmentationNode, role) for role in (PROBABILITY, REFINED))
    return _State(segmentation, tables, probability, refined, reportText(segmentationNode))


def _imageOf(segmentationNode: slicer.vtkMRMLSegmentationNode, role: str) -> vtk.vtkImageData | None:
    node = partOf(segmentationNode, role)
    return node.GetImageData() if node is not None else None


def _copyOf(tableNode: slicer.vtkMRMLTableNode) -> _Table:
    contents = vtk.vtkTable()
    contents.DeepCopy(tableNode.GetTable())
    attributes = {name: tableNode.GetAttribute(name) for name in tableNode.GetAttributeNames()}
    return _Table(tableNode.GetName(), contents, attributes)


def _restoreTable(segmentationNode: slicer.vtkMRMLSegmentationNode, role: str, table: _Table | None) -> None:
    """The table must be that of the segment shown, or not be there at all."""
    if table is None:
        removePart(segmentationNode, role)
        return
    node = partOrNew(segmentationNode, role, "vtkMRMLTableNode", table.name)
    for name in node.GetAttributeNames():
        node.RemoveAttribute(name)
    for name, text in table.attributes.items():
        node.SetAttribute(name, text)
    node.SetAndObserveTable(table.contents)
    node.SetUseColumnTitleAsColumnHeader(True)
    placeTable(node, segmentationNode)


def _restoreProbability(segmentationNode: slicer.vtkMRMLSegmentationNode, probability: vtk.vtkImageData | None) -> None:
    """The probability must be that of the segment shown, or not be there at all."""
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    if probability is None or flairNode is None:
        removePart(segmentationNode, PROBABILITY)
    else:
        placeProbability(probability, flairNode, segmentationNode)
