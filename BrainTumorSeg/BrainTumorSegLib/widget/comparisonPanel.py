"""One button compares the shown result with another segmentation, in numbers and in the slice views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from BrainTumorSegLib.engine.measurement.agreement import Comparison
from BrainTumorSegLib.jobs.activity import Activity
from BrainTumorSegLib.jobs.comparisonJob import ComparisonJob
from BrainTumorSegLib.scene.comparisonView import hideComparison, showComparison
from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.segmentWatch import SegmentWatch
from BrainTumorSegLib.widget.clicks import visibly
from BrainTumorSegLib.widget.labels import say
from BrainTumorSegLib.widget.roomForResult import bringIntoView

Start = Callable[[Any, Any, Callable[[Activity], None]], None]
"""Begins to compare a reference with a result; the last is called once it went well."""


class ComparisonPanel:
    """Shows one comparison, which never outlives what it is about. ui: the widgets of the .ui by name."""

    def __init__(self, ui: Any, start: Start) -> None:
        self._ui, self._start = ui, start
        self._node: Any = None
        self._isShown = False
        self._watches = [SegmentWatch(self.hide), SegmentWatch(self.hide)]
        say(ui.comparisonLabel, "")
        ui.comparisonButton.connect("toggled(bool)", visibly(self.onToggled))
        ui.comparisonSelector.connect("currentNodeIDChanged(QString)", visibly(lambda _nodeId: self._onOther()))

    def show(self, segmentationNode: Any) -> None:
        """The result that can be compared; another one than before is not compared yet."""
        isResult = segmentationNode is not None and partOf(segmentationNode, LESIONS) is not None
        node = segmentationNode if isResult else None
        if node is not self._node:
            self._node = node
            self.hide()
        self._enable()

    def hide(self) -> None:
        """Take numbers and colours away and lift the button."""
        self._isShown = False
        for watch in self._watches:
            watch.watch(None)
        hideComparison()
        say(self._ui.comparisonLabel, "")
        self._press(False)

    def onToggled(self, isWanted: bool) -> None:
        """Compare, or take the comparison away."""
        if not isWanted:
            self.hide()
            return
        self._press(False)  # until there is something to show
        reference, result = self._ui.comparisonSelector.currentNode(), self._node
        self._start(reference, result, lambda job: self._onCompared(job, reference, result))

    def _onCompared(self, job: Activity, reference: Any, result: Any) -> None:
        assert isinstance(job, ComparisonJob), "followed as such"
        assert job.comparison is not None, "the state is DONE"
        if result is not self._node or reference is not self._ui.comparisonSelector.currentNode():
            return  # somebody has gone on to something else meanwhile
        showComparison(reference, result, job.motion)
        self._isShown = True
        for watch, node in zip(self._watches, (reference, result), strict=True):
            watch.watch(node)
        say(self._ui.comparisonLabel, comparisonText(job.comparison, reference.GetName(), job.motion))
        bringIntoView(self._ui.moreCollapsibleButton, self._ui.batchCollapsibleButton)
        self._press(True)

    def _onOther(self) -> None:
        if self._isShown:
            self.hide()
        self._enable()

    def _enable(self) -> None:
        other = self._ui.comparisonSelector.currentNode()
        self._ui.comparisonButton.enabled = self._node is not None and other is not None and other is not self._node

    def _press(self, isPressed: bool) -> None:
        button = self._ui.comparisonButton
        button.blockSignals(True)
        button.checked = isPressed
        button.blockSignals(False)


def comparisonText(found: Comparison, name: str, motion: Any) -> str:
    """The numbers in words, a line each. found: of the other segmentation, first, and the result, second."""
    distance = (
        _("HD95 {distance:.1f} mm").format(distance=found.hd95_mm)
        if found.hd95_mm is not None
        else _("no HD95, for one is empty where they are compared")
    )
    percent = "" if found.change_percent is None else f" ({_signed(found.change_percent)} %)"
    lines = [
        _("Dice {dice:.3f}, {distance}.").format(dice=found.dice, distance=distance),
        _("Red: {name}, {volume:.1f} mL.").format(name=name, volume=found.first_ml),
        _("Green: this result, {volume:.1f} mL, {change} mL{percent}.").format(
            volume=found.second_ml, change=_signed(found.change_ml), percent=percent
        ),
    ]
    if motion is not None:
        lines.append(
            _("The studies were laid onto each other: moved by {shift:.1f} mm, turned by {angle:.1f} degrees.").format(
                shift=motion["shift_mm"], angle=motion["angle_degrees"]
            )
        )
    if found.outside_ml > 0:
        lines.append(
            _("{volume:.1f} mL of this result lie outside the other's image and count in its volume alone.").format(
                volume=found.outside_ml
            )
        )
    return "\n".join(lines)


def _signed(value: float) -> str:
    """With its sign, as rounded: nothing is never negative."""
    return f"{round(value, 1) + 0.0:+.1f}"
