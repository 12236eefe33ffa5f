"""One button lays uncertainty or probability over the slice views and takes it away."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from BrainTumorSegLib.scene.overlay import Overlay, OverlayKind
from BrainTumorSegLib.widget.clicks import visibly

_KINDS = (OverlayKind.UNCERTAINTY, OverlayKind.PROBABILITY)


class OverlayPanel:
    """Shows the overlay of one result; it never outlives that result, the module's being open, or the scene.

    ui: the widgets of the .ui by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
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
        if isShown and Overlay.isAvailable(self._node):
            kind = _KINDS[self._ui.overlayComboBox.currentIndex]
            self._overlay.show(self._node, kind, _label(kind))
        else:
            self._overlay.hide()

    def onKind(self, _index: int) -> None:
        """Show the other one, if one is shown."""
        if self._overlay.isShown:
            self.onToggled(True)


def _label(kind: OverlayKind) -> str:
    return {
        OverlayKind.UNCERTAINTY: _("Uncertainty (bit)"),
        OverlayKind.PROBABILITY: _("Tumour probability"),
    }[kind]
