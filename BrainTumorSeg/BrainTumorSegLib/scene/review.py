"""Which slices deserve a second look, which had it, and bringing the slice views there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from BrainTumorSegLib.engine.measurement.review_order import review_order, worth_a_look
from BrainTumorSegLib.scene.ownNodes import SLICE_SCORES, partOf
from BrainTumorSegLib.scene.resultTables import sliceScoresOf
from BrainTumorSegLib.scene.volumeGeometry import Matrix, ijkToWorld

_SAME_DIRECTION = 0.9
_REVIEWED = "reviewed"


@dataclass(frozen=True)
class SliceReview:
    """A slice that deserves a second look. reason: one plain sentence why. isReviewed: ticked off."""

    index: int
    reason: str
    isReviewed: bool


def reviewOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[SliceReview, ...]:
    """The slices of a result that deserve a second look, the neediest first, and which of them are ticked off."""
    done = reviewedSlices(segmentationNode)
    needs = worth_a_look(review_order(sliceScoresOf(segmentationNode)))
    return tuple(SliceReview(need.index, need.sentence, need.index in done) for need in needs)


def reviewedSlices(segmentationNode: slicer.vtkMRMLSegmentationNode) -> frozenset[int]:
    """The slices that somebody has ticked off; kept in the table of slices, with the scene."""
    table = partOf(segmentationNode, SLICE_SCORES)
    if table is None or table.GetTable().GetColumnByName(_REVIEWED) is None:
        return frozenset()
    column = table.GetTable().GetColumnByName(_REVIEWED)
    return frozenset(row for row in range(table.GetNumberOfRows()) if float(column.GetValue(row)) > 0)


def setReviewed(segmentationNode: slicer.vtkMRMLSegmentationNode, index: int, isReviewed: bool) -> None:
    """Tick a slice off, or take the tick back."""
    table = partOf(segmentationNode, SLICE_SCORES)
    if table is None:
        return
    column = table.GetTable().GetColumnByName(_REVIEWED)
    if column is None:
        column = vtk.vtkIntArray()  # unsigned characters come back from a saved scene as zeros
        column.SetName(_REVIEWED)
        column.SetNumberOfTuples(table.GetNumberOfRows())
        column.Fill(0)
        table.AddColumn(column)
    column.SetValue(index, int(isReviewed))
    column.Modified()
    table.GetTable().Modified()
    table.Modified()


@dataclass(frozen=True)
class VolumeSlices:
    """The axial slices of a volume: those across the voxel axis that is closest to the patient's superior axis."""

    ijkToWorld: Matrix
    sizeIjk: tuple[int, int, int]

    @classmethod
    def of(cls, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> VolumeSlices:
        """Raises InputError under a non-linear transform."""
        return cls(ijkToWorld(volumeNode), volumeNode.GetImageData().GetDimensions())

    @property
    def axis(self) -> int:
        """0, 1 or 2 for i, j or k."""
        return int(np.abs(self._directions()[2]).argmax())

    def centreRas(self, index: int) -> tuple[float, float, float]:
        """World position of the middle of a slice, mm."""
        ijk = [(size - 1) / 2 for size in self.sizeIjk]
        ijk[self.axis] = self._alongAxis(index)
        x, y, z = (self.ijkToWorld @ [*ijk, 1.0])[:3]
        return (float(x), float(y), float(z))

    def normal(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Unit vector across the slices."""
        return np.asarray(self._directions()[:, self.axis])

    def _directions(self) -> Matrix:
        matrix = self.ijkToWorld[:3, :3]
        return matrix / np.linalg.norm(matrix, axis=0)

    def _alongAxis(self, index: float) -> float:
        isUpward = self._directions()[2, self.axis] > 0
        return index if isUpward else self.sizeIjk[self.axis] - 1 - index


def axialViews(slices: VolumeSlices) -> list[slicer.vtkMRMLSliceNode]:
    """The slice views of the scene that show about these slices."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [node for node in nodes if abs(float(_normalOf(node) @ slices.normal())) > _SAME_DIRECTION]


def shownIndex(slices: VolumeSlices) -> float | None:
    """The slice that the first axial view shows in its middle; None without such a view.

    Measured where the view's plane meets the line through the slices' centres, which is where ``showSlice`` brings
    it: a view that is not in the slices' own plane cuts many of them elsewhere.
    """
    for node in axialViews(slices):
        matrix = node.GetSliceToRAS()
        origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
        first, second = np.array(slices.centreRas(0)), np.array(slices.centreRas(1))
        normal = _normalOf(node)
        return float((origin - first) @ normal / ((second - first) @ normal))
    return None


def showSlice(slices: VolumeSlices, index: int) -> None:
    """Move the axial views, and no other, to a slice."""
    for node in axialViews(slices):
        node.JumpSliceByOffsetting(*slices.centreRas(index))


def showPosition(positionRas: Sequence[float]) -> None:
    """Move all slice views to a world position, keeping their zoom."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.JumpSliceByOffsetting(*positionRas)


def nextIndex(indices: Sequence[int], shown: float | None, step: int) -> int | None:
    """The next index above (step 1) or below (step -1) the shown slice, around the end; None if there are none."""
    if not indices:
        return None
    current = -1.0 if shown is None else shown
    # Half a slice of tolerance: the view may stand anywhere within the slice it shows.
    ahead = [index for index in indices if (index - current) * step > 0.5]
    if not ahead:
        return min(indices) if step > 0 else max(indices)
    return min(ahead) if step > 0 else max(ahead)


def _normalOf(node: slicer.vtkMRMLSliceNode) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    matrix = node.GetSliceToRAS()
    return np.array([matrix.GetElement(row, 2) for row in range(3)])
