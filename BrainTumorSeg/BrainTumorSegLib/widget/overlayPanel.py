"""One button lays uncertainty, probability or the classifier's view over the slice views and takes it away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from slicer.i18n import tr as _

from BrainTumorSegLib.scene.overlay import Overlay, OverlayKind
from BrainTumorSegLib.widget.clicks import visibly

_SPOKE_MOST = 0.5
"""Of the highest: a map of a 16th of the slice's resolution has some value nearly everywhere."""
_KINDS = (OverlayKind.UNCERTAINTY, OverlayKind.PROBABILITY, OverlayKind.EXPLANATION)


class OverlayPanel:
    """Shows the overlay of one result; it never outlives that result, the module's being open, or the scene.

    ui: the widgets of the .ui by name. explain: begins to compute what the classifier looked at in the slice in view,
    which ``showExplanation`` shows later.
    """

    def __init__(self, ui: Any, explain: Callable[[], None]) -> None:
        self._ui, self._explain = ui, explain
        self._overlay = Overlay()
        self._node: Any = None
        for kind in _KINDS:
            ui.overlayComboBox.addItem(_label(kind))
        ui.overlayButton.connect("toggled(bool)", visibly(self.onToggled))
        ui.overlayComboBox.connect("currentIndexChanged(int)", visibly(self.onKind))

    def show(self, segmentationNode: Any) -> None:
        """The result that can be looked at; another one than before is not overlaid yet."""
        if segmentationNode is not self._node or not Overlay.isAvailable(segmentationNode):
            self.hide()
        self._node = segmentationNode
        self._ui.overlayButton.enabled = self._ui.overlayComboBox.enabled = Overlay.isAvailable(segmentationNode)

    def hide(self) -> None:
        """Take the overlay away and lift the button."""
        self._overlay.hide()
        self._ui.overlayButton.checked = False

    def onToggled(self, isShown: bool) -> None:
        """Lay it over the views, or take it away."""
        self._overlay.hide()
        if not isShown or not Overlay.isAvailable(self._node):
            return
        kind = self._kind
        if kind is OverlayKind.EXPLANATION:
            self._explain()
        else:
            self._overlay.show(self._node, kind, _label(kind))

    def onKind(self, _index: int) -> None:
        """Show the other one, if one is shown."""
        if self._ui.overlayButton.checked:
            self.onToggled(True)

    def showExplanation(self, voxels: npt.NDArray[np.float32], index: int) -> None:
        """Show what the classifier looked at in a slice, if that is still wanted."""
        if self._ui.overlayButton.checked and self._kind is OverlayKind.EXPLANATION:
            title = _("{what} (slice {slice})").format(what=_label(OverlayKind.EXPLANATION), slice=index + 1)
            self._overlay.showVoxels(self._node, voxels, title, _SPOKE_MOST)

    @property
    def _kind(self) -> OverlayKind:
        return _KINDS[self._ui.overlayComboBox.currentIndex]


def _label(kind: OverlayKind) -> str:
    return {
        OverlayKind.UNCERTAINTY: _("Uncertainty (bit)"),
        OverlayKind.PROBABILITY: _("Tumour probability"),
        OverlayKind.EXPLANATION: _("What the classifier saw"),
    }[kind]
