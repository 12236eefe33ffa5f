"""What was found: table of lesions, the way to doubtful slices, to the editor and to 3D."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.scene.corrections import isCorrected
from BrainTumorSegLib.scene.lesions import isSplit, joinLesions, removeLesion, splitLesions
from BrainTumorSegLib.scene.liveThreshold import Limits
from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.remeasure import followEdits
from BrainTumorSegLib.scene.review import showPosition
from BrainTumorSegLib.scene.segmentWatch import SegmentWatch
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.views import isShownIn3D
from BrainTumorSegLib.widget.clicks import connectClicks, visibly
from BrainTumorSegLib.widget.labels import write
from BrainTumorSegLib.widget.navigatorPanel import NavigatorPanel
from BrainTumorSegLib.widget.overlayPanel import OverlayPanel
from BrainTumorSegLib.widget.tables import fillTable, prepareTable
from BrainTumorSegLib.widget.thresholdPanel import ThresholdPanel

FOLLOW_MS = 50
"""How long after an edit the tables follow it: edits that come in a burst are measured once."""


class ResultPanel:
    """Shows the result that lies in the selected segmentation, also one that was loaded with a scene.

    ui: the widgets of the .ui by name. undo: the states before each change. onUndone: called after one was taken back.
    explain: see ``OverlayPanel``.
    """

    def __init__(
        self, ui: Any, undo: SegmentationUndo, onUndone: Callable[[], None], explain: Callable[[], None]
    ) -> None:
        self._ui, self._undo, self._onUndone = ui, undo, onUndone
        self._segmentationId = ""
        self._flairId = ""
        self._problem = ""
        self.navigator = NavigatorPanel(ui)
        self.threshold = ThresholdPanel(ui, undo)
        self.overlay = OverlayPanel(ui, explain)
        self._isFilling = False
        self._watch = SegmentWatch(self._followSoon)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.connect("timeout()", visibly(self._follow))
        prepareTable(ui.measurementsTable, wideColumn=4)
        ui.measurementsTable.connect("cellClicked(int,int)", visibly(self.onLesionClicked))
        ui.measurementsTable.connect("cellChanged(int,int)", visibly(self.onLesionTicked))
        ui.show3DButton.connect("toggled(bool)", visibly(self.onShow3D))
        connectClicks(
            ui,
            {
                "editButton": self.onEdit,
                "undoButton": self.onUndo,
                "splitButton": self.onSplit,
            },
        )

    def show(self, segmentationNode: Any, flairNode: Any, limits: Limits | None = None) -> None:
        """Show the result in these nodes; either may be None. limits: the fields', which the result follows."""
        identifier = segmentationNode.GetID() if segmentationNode else ""
        self._flairId = flairNode.GetID() if flairNode else ""
        self._watch.watch(segmentationNode)
        if identifier != self._segmentationId:
            self._segmentationId, self._problem = identifier, ""
            self._followSoon()  # a loaded scene may have been saved in the middle of an edit
        self.threshold.choose(segmentationNode)
        if limits is not None:
            self.threshold.follow(limits)
        self._refresh()

    def _followSoon(self) -> None:
        self._timer.start()

    def _follow(self) -> None:
        """Bring the numbers up to date with what the segment holds."""
        node = self._segmentation
        if node is None or partOf(node, LESIONS) is None:
            return
        before = self._problem
        try:
            hasChanged = followEdits(node)
            self._problem = ""
        except BrainTumorSegError as error:
            hasChanged, self._problem = False, str(error)
        if hasChanged:
            write(self._ui.statusLabel, _("The outline was corrected; the numbers are of what it is now."))
        if hasChanged or self._problem != before:
            self._refresh()

    def _refresh(self) -> None:
        self._fillTable()
        self._updateButtons()
        self.navigator.show(self._segmentation, self._flair)
        self.threshold.show()
        self.overlay.show(self._segmentation)

    @property
    def _segmentation(self) -> Any:
        return slicer.mrmlScene.GetNodeByID(self._segmentationId) if self._segmentationId else None

    @property
    def _flair(self) -> Any:
        # The volume that the result lies on, whatever the selector says now.
        reference = getattr(slicer.vtkMRMLSegmentationNode, "GetReferenceImageGeometryReferenceRole", lambda: "")()
        node = self._segmentation.GetNodeReference(reference) if self._segmentation else None
        return node or (slicer.mrmlScene.GetNodeByID(self._flairId) if self._flairId else None)

    def _fillTable(self) -> None:
        lesions = [texts for texts, _centroid in _lesionRows(self._segmentation)]
        total_ml = sum(float(texts[1]) for texts in lesions)
        total = [[_("All"), f"{total_ml:.2f}", "", "", ""]] if lesions else []
        self._isFilling = True
        fillTable(self._ui.measurementsTable, lesions + total, numberColumns=range(5), ticks=[True] * len(lesions))
        self._isFilling = False
        write(self._ui.resultLabel, self._resultText(len(lesions)))

    def _resultText(self, lesions: int) -> str:
        if self._segmentation is None or partOf(self._segmentation, LESIONS) is None:
            return _("No result yet.")
        if self._problem:
            return self._problem
        if lesions == 0 and isCorrected(self._segmentation):
            return _("All lesions were left out by hand. The segmentation is empty; 'Undo' brings the last one back.")
        if lesions == 0:
            return _("No tumour found. The segmentation is empty; look at the slices to review.")
        return _("{count} lesions found.").format(count=lesions) if lesions > 1 else _("One lesion found.")

    def _updateButtons(self) -> None:
        node = self._segmentation
        self._ui.editButton.enabled = node is not None and self._flair is not None
        self._ui.show3DButton.enabled = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        hasResult = node is not None and partOf(node, LESIONS) is not None
        split = node is not None and isSplit(node)
        rows = len(_lesionRows(node))
        self._ui.splitButton.text = _("Join lesions again") if split else _("Split lesions into segments")
        self._ui.splitButton.enabled = hasResult and (split or rows > 1)
        self._ui.moreCollapsibleButton.visible = hasResult
        self._ui.refineButton.visible = hasResult and isCorrected(node)
        self._ui.undoButton.enabled = node is not None and self._undo.isAvailable(node)
        self._ui.show3DButton.blockSignals(True)
        self._ui.show3DButton.checked = node is not None and isShownIn3D(node)
        self._ui.show3DButton.blockSignals(False)

    def onEdit(self) -> None:
        """Open the Segment Editor on this result."""
        segmentation, flair = self._segmentation, self._flair
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(flair)

    def onShow3D(self, isShown: bool) -> None:
        """Show or hide the surface."""
        node = self._segmentation
        if node is None:
            return
        if isShown:
            node.CreateClosedSurfaceRepresentation()
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility3D(isShown)

    def toggleOutline(self) -> None:
        """Show or hide the outline in the slice views, to see what lies below it."""
        node = self._segmentation
        if node is not None:
            node.CreateDefaultDisplayNodes()
            display = node.GetDisplayNode()
            display.SetVisibility2D(not display.GetVisibility2D())

    def onLesionClicked(self, row: int, _column: int) -> None:
        """Bring the slice views to the clicked lesion."""
        rows = _lesionRows(self._segmentation)
        if 0 <= row < len(rows):  # -1 of a row that its own tick has taken away before the button came up
            showPosition(rows[row][1])

    def onLesionTicked(self, row: int, column: int) -> None:
        """A lesion was ticked off: it leaves the segment."""
        item = self._ui.measurementsTable.item(row, column)
        if self._isFilling or column != 0 or item.checkState() == qt.Qt.Checked:
            return
        rows = _lesionRows(self._segmentation)
        if row >= len(rows):
            return
        texts = rows[row][0]
        self._change(lambda: removeLesion(self._segmentation, int(texts[0]), self._undo))
        said = _("Lesion {number} ({volume} mL) was taken out. 'Undo' brings it back.")
        write(self._ui.statusLabel, said.format(number=texts[0], volume=texts[1]))

    def onSplit(self) -> None:
        """Give each lesion a segment of its own, or join them again."""
        node = self._segmentation
        if isSplit(node):
            self._undo.save(node)
            self._change(lambda: joinLesions(node))
        else:
            self._change(lambda: splitLesions(node, self._undo))

    def _change(self, change: Callable[[], None]) -> None:
        """Do it and show what came of it, with the surface that was there before."""
        node = self._segmentation
        hadSurface = isShownIn3D(node)
        try:
            change()
        finally:
            if hadSurface:
                node.CreateClosedSurfaceRepresentation()
            self._refresh()

    def onUndo(self) -> None:
        """Bring back what the last result replaced, segments, tables and probability."""
        self.overlay.hide()
        if self._segmentation is not None and self._undo.restore(self._segmentation):
            write(self._ui.statusLabel, _("The segmentation is as before the last change."))
            self._refresh()
            self._onUndone()


def _lesionRows(segmentationNode: Any) -> list[tuple[list[str], tuple[float, float, float]]]:
    """Texts of the table's row, and the centroid in RAS mm, by lesion."""
    table = partOf(segmentationNode, LESIONS) if segmentationNode else None
    if table is None:
        return []

    def number(row: int, name: str) -> float:
        return float(table.GetTable().GetColumnByName(name).GetValue(row))

    rows = []
    for row in range(table.GetNumberOfRows()):
        texts = [
            f"{number(row, 'id'):.0f}",
            f"{number(row, 'volume_ml'):.2f}",
            f"{number(row, 'longest_diameter_mm'):.1f}",
            f"{number(row, 'axial_diameter_mm'):.1f} x {number(row, 'axial_perpendicular_diameter_mm'):.1f}",
            f"{number(row, 'first_slice') + 1:.0f}-{number(row, 'last_slice') + 1:.0f}",
        ]
        r, a, s = (number(row, f"centroid_{axis}_mm") for axis in "ras")
        rows.append((texts, (r, a, s)))
    return rows
