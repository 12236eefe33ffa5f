"""Hearing of every move of a slice view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk


class ViewWatch:
    """Calls ``onMoved`` when a slice view of the scene moves; it has to do little, for it is called at each step."""

    def __init__(self, onMoved: Callable[[], None]) -> None:
        self._onMoved = onMoved
        self._tags: dict[Any, int] = {}

    def start(self) -> None:
        """Follow every slice view that the scene has by now; those that are gone are let go."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        for node in set(self._tags) - set(nodes):
            node.RemoveObserver(self._tags.pop(node))
        for node in nodes:
            if node not in self._tags:
                self._tags[node] = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._onMoved())

    def stop(self) -> None:
        """Follow none."""
        for node, tag in self._tags.items():
            node.RemoveObserver(tag)
        self._tags = {}
