"""Hearing of every change to what a segmentation's segments hold, without looking at a voxel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer


class SegmentWatch:
    """Calls ``onChanged`` when segments of the watched segmentation are edited, added or removed.

    A name, colour, tag or display that changes is none of these.
    """

    def __init__(self, onChanged: Callable[[], None]) -> None:
        self._onChanged = onChanged
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._tags: list[int] = []

    def watch(self, segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Follow this segmentation instead of the one before; None follows none."""
        if segmentationNode is self._node:
            return
        if self._node is not None:
            for tag in self._tags:
                self._node.RemoveObserver(tag)
        self._node, self._tags = segmentationNode, []
        if segmentationNode is not None:
            kinds = slicer.vtkSegmentation
            events = (kinds.SourceRepresentationModified, kinds.SegmentAdded, kinds.SegmentRemoved)
            self._tags = [segmentationNode.AddObserver(event, self._onEvent) for event in events]

    def _onEvent(self, *_arguments: Any) -> None:
        self._onChanged()
