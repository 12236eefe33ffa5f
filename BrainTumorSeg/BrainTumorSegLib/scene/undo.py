"""The state of a segmentation before a result replaced it, so that one click brings it back."""

from __future__ import annotations

import slicer


class SegmentationUndo:
    """Keeps the last states of each segmentation written to, as long as its node is in the scene."""

    def __init__(self) -> None:
        self._histories: dict[str, slicer.vtkSegmentationHistory] = {}

    def save(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Keep the segments as they are now; five states a node."""
        history = self._histories.setdefault(segmentationNode.GetID(), slicer.vtkSegmentationHistory())
        # A new segmentation object under an old node ID (scene closed, another opened) empties the history.
        history.SetSegmentation(segmentationNode.GetSegmentation())
        history.SaveState()

    def isAvailable(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Whether there is a state to go back to."""
        history = self._historyOf(segmentationNode)
        return history is not None and bool(history.IsRestorePreviousStateAvailable())

    def restore(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
        """Bring back the state before the last result; False where there is none."""
        history = self._historyOf(segmentationNode)
        if history is None or not history.IsRestorePreviousStateAvailable():
            return False
        return bool(history.RestorePreviousState())

    def forget(self) -> None:
        """Drop every state, as when the scene is closed."""
        self._histories.clear()

    def _historyOf(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkSegmentationHistory | None:
        history = self._histories.get(segmentationNode.GetID())
        if history is None or history.GetSegmentation() is not segmentationNode.GetSegmentation():
            return None
        return history
