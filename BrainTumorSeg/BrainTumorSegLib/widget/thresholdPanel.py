"""Threshold and smallest lesion: what the model recommends, and a result that follows the slider at once."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from BrainTumorSegLib.scene.liveThreshold import HIGHEST, LOWEST, SURFACE, Limits, LiveThreshold, canFollow, limitsOf
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.widget.clicks import visibly
from BrainTumorSegLib.widget.labels import say

SURFACE_MS = 400
"""How long the slider must rest before the surface in 3D is made anew."""

_STEP = 0.1


class ThresholdPanel:
    """Lets the shown result follow the fields, and says what the threshold is worth.

    ui: the widgets of the .ui by name. undo: a run of moves is one step of it.
    """

    def __init__(self, ui: Any, undo: SegmentationUndo) -> None:
        self._ui = ui
        self._live = LiveThreshold(undo)
        self._node: Any = None
        self._limits: Limits | None = None
        self._hasSurface = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SURFACE_MS)
        self._timer.connect("timeout()", visibly(self._makeSurface))
        ui.advancedCollapsibleButton.connect("contentsCollapsed(bool)", visibly(lambda _isCollapsed: self.show()))

    def choose(self, segmentationNode: Any) -> None:
        """The result in this node is the one to follow; None for none."""
        if segmentationNode is not self._node:
            self._node, self._limits = segmentationNode, None
            self._timer.stop()
            self._hasSurface = False

    def show(self) -> None:
        """Say what the threshold of the chosen result is worth, where that can be seen."""
        if self._ui.advancedCollapsibleButton.collapsed:
            return
        say(self._ui.thresholdReadoutLabel, self._readout())

    def follow(self, limits: Limits) -> None:
        """Outline the chosen result with these limits if the user has just changed them.

        What the fields held when the result was first shown changes nothing: it may come from a saved scene.
        """
        before, self._limits = self._limits, limits
        if before in (None, limits) or self._node is None or not canFollow(self._node):
            return
        if limitsOf(self._node) == limits:
            return
        self._hasSurface = self._hasSurface or self._node.GetSegmentation().ContainsRepresentation(SURFACE)
        self._live.apply(self._node, limits)
        if self._hasSurface:
            self._timer.start()

    def forget(self) -> None:
        """The fields were set to what the result has: nothing to follow."""
        self._limits = None

    def _makeSurface(self) -> None:
        if self._node is not None and self._hasSurface:
            self._node.CreateClosedSurfaceRepresentation()
        self._hasSurface = False

    def _readout(self) -> str:
        """The volume at the result's threshold and a step to both sides."""
        node = self._node
        limits = limitsOf(node) if node is not None else None
        if limits is None:
            return ""
        if not canFollow(node):
            return _("The shown outline does not follow: it was corrected, or its probability is not in the scene.")
        around = [max(LOWEST, limits.threshold - _STEP), limits.threshold, min(HIGHEST, limits.threshold + _STEP)]
        if not LOWEST <= limits.threshold <= HIGHEST:
            return _("The shown outline was made at {threshold:g}.").format(threshold=limits.threshold)
        below, volume, above = (self._live.volume_ml(node, Limits(each, limits.minimumVolume_ml)) for each in around)
        return _(
            "{volume:.1f} mL at {threshold:.2f}; {below:.1f} mL at {low:.2f}, {above:.1f} mL at {high:.2f}."
        ).format(volume=volume, threshold=around[1], below=below, low=around[0], above=above, high=around[2])
