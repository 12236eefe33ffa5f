"""Probability or uncertainty as colours over the slice views, with a legend, and away again without a trace."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer

from BrainTumorSegLib.scene.ownNodes import PROBABILITY, partOf
from BrainTumorSegLib.scene.volumeGeometry import ijkToLocal, setIjkToLocal

Voxels = npt.NDArray[np.float32]

OPACITY = 0.6
_UNFILLED = "BrainTumorSeg.Unfilled"
"""Kept with a display, for a scene may be saved below an overlay, which itself is not."""
_LOWEST_SHOWN = 0.05
"""Below it a voxel is background: colours there would veil the brain."""
_SURE = 0.005
"""A probability so near to 0 or 1 has an entropy below that."""
_COLOURS = "vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeIron"
"""Slicer's perceptually even table; where its file is not installed, the nearest that is built in."""
_LEGEND_SIZE = 0.05, 0.5
"""Of the view. Slicer makes the texts as large as the width allows, whatever their font size: 0.12 hid the brain."""


class OverlayKind(enum.Enum):
    """What is shown."""

    UNCERTAINTY = "uncertainty"
    PROBABILITY = "probability"
    EXPLANATION = "explanation"


class Overlay:
    """At most one overlay at a time; segments are outlines meanwhile. All is as it was before after ``hide``."""

    def __init__(self) -> None:
        self._nodeIds: list[str] = []
        self._before: dict[str, tuple[str | None, float]] = {}

    @property
    def isShown(self) -> bool:
        """Whether an overlay lies over the views."""
        return bool(self._nodeIds)

    @staticmethod
    def isAvailable(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether the result in this node has a probability to show."""
        node = partOf(segmentationNode, PROBABILITY) if segmentationNode is not None else None
        return node is not None and node.GetImageData() is not None

    def show(self, segmentationNode: slicer.vtkMRMLSegmentationNode, kind: OverlayKind, title: str) -> None:
        """Lay the probability, 0-1, or its binary entropy in bits, over every slice view. title: the legend's."""
        values = slicer.util.arrayFromVolume(partOf(segmentationNode, PROBABILITY))
        self.showVoxels(segmentationNode, values if kind is OverlayKind.PROBABILITY else _entropy(values), title)

    def showVoxels(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        voxels: Voxels,
        title: str,
        lowest: float = _LOWEST_SHOWN,
    ) -> None:
        """Lay values of 0-1 on the grid of the result's probability, float32 [K, J, I], over every slice view.

        lowest: what is below it is not coloured.
        """
        self.hide()
        volume = _volumeOf(partOf(segmentationNode, PROBABILITY), voxels, title, lowest)
        legend = _legendOf(volume, title)
        self._nodeIds = [legend.GetID(), volume.GetDisplayNode().GetID(), volume.GetID()]
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self._before[composite.GetID()] = (composite.GetForegroundVolumeID(), composite.GetForegroundOpacity())
            composite.SetForegroundVolumeID(volume.GetID())
            composite.SetForegroundOpacity(OPACITY)
        legend.Modified()  # Slicer's views look for legends at a change of one, and draw those whose volume they show
        # A segment's fill would mix with the colours, and then the legend is wrong.
        for display in slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode"):
            if display.GetVisibility2DFill():
                display.SetVisibility2DFill(False)
                display.SetAttribute(_UNFILLED, "true")

    def hide(self) -> None:
        """Take it away; views in which the user has chosen something else meanwhile keep that."""
        scene = slicer.mrmlScene
        for identifier, (volumeId, opacity) in self._before.items():
            composite = scene.GetNodeByID(identifier)
            if composite is not None and composite.GetForegroundVolumeID() in self._nodeIds:
                composite.SetForegroundVolumeID(volumeId if volumeId and scene.GetNodeByID(volumeId) else None)
                composite.SetForegroundOpacity(opacity)
        for display in slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode"):
            if display.GetAttribute(_UNFILLED) is not None:
                display.RemoveAttribute(_UNFILLED)
                display.SetVisibility2DFill(True)
        for identifier in self._nodeIds:
            node = scene.GetNodeByID(identifier)
            if node is not None:
                scene.RemoveNode(node)
        self._nodeIds, self._before = [], {}


def _volumeOf(probabilityNode: Any, voxels: Voxels, title: str, lowest: float) -> Any:
    """A volume of its own, hidden and not saved: its display is nobody else's."""
    scene = slicer.mrmlScene
    volume = slicer.vtkMRMLScalarVolumeNode()
    volume.SetName(title)
    volume.SetHideFromEditors(True)
    volume.SetSaveWithScene(False)
    volume = scene.AddNode(volume)
    slicer.util.updateVolumeFromArray(volume, voxels)
    setIjkToLocal(volume, ijkToLocal(probabilityNode))
    volume.SetAndObserveTransformNodeID(probabilityNode.GetTransformNodeID())
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAndObserveColorNodeID(next((each for each in _COLOURS if scene.GetNodeByID(each)), None))
    display.SetInterpolate(False)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetAutoThreshold(False)
    display.SetThreshold(lowest, 1.0)
    display.SetApplyThreshold(True)
    return volume


def _entropy(probability: Voxels) -> Voxels:
    """Binary entropy in bits, float32, of probabilities 0-1: 1 where both outcomes are equally likely.

    0 where it is too low to be shown, which is nearly everywhere: logarithms of all would hold Slicer for a tenth of a
    second.
    """
    bits = np.zeros_like(probability, np.float32)
    isShown = (probability > _SURE) & (probability < 1 - _SURE)
    p = probability[isShown]
    bits[isShown] = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return bits


def _legendOf(volume: Any, title: str) -> Any:
    legend = slicer.vtkMRMLColorLegendDisplayNode()
    legend.SetSaveWithScene(False)
    legend = slicer.mrmlScene.AddNode(legend)
    legend.SetAndObservePrimaryDisplayNode(volume.GetDisplayNode())
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.1f")
    legend.SetNumberOfLabels(3)
    legend.SetPosition(0.95, 0.5)
    legend.SetSize(*_LEGEND_SIZE)
    volume.AddAndObserveDisplayNodeID(legend.GetID())
    return legend
