"""The way through the slices: the strip, the next slice that deserves a second look, and what was looked at."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.scene.resultTables import sliceScoresOf
from BrainTumorSegLib.scene.review import (
    SliceReview,
    VolumeSlices,
    nextIndex,
    reviewOf,
    setReviewed,
    shownIndex,
    showSlice,
)
from BrainTumorSegLib.scene.viewWatch import ViewWatch
from BrainTumorSegLib.scene.volumeGeometry import isBent
from BrainTumorSegLib.widget.clicks import connectClicks, visibly
from BrainTumorSegLib.widget.labels import write
from BrainTumorSegLib.widget.sliceStrip import SliceStrip, StripSlice
from BrainTumorSegLib.widget.tables import fillTable, prepareTable


class NavigatorPanel:
    """Shows the slices of one result, follows the axial view, and keeps what was ticked off with the result.

    ui: the widgets of the .ui by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._segmentation: Any = None
        self._flair: Any = None
        self._scores: tuple[SliceScore, ...] = ()
        self._review: tuple[SliceReview, ...] = ()
        self._listed: tuple[SliceReview, ...] = ()
        self._isFilling = False
        self.strip = SliceStrip(self.goTo)
        ui.navigatorWidget.layout().addWidget(self.strip)
        self._views = ViewWatch(self._onViewMoved)
        prepareTable(ui.reviewTable, wideColumn=1)
        ui.reviewTable.connect("cellClicked(int,int)", visibly(self.onRowClicked))
        ui.reviewTable.connect("cellChanged(int,int)", visibly(self.onRowTicked))
        # Only a shown table knows how wide its columns are, and so how high its rows.
        ui.reviewCollapsibleButton.connect(
            "contentsCollapsed(bool)", visibly(lambda _isCollapsed: ui.reviewTable.resizeRowsToContents())
        )
        connectClicks(
            ui,
            {
                "previousSliceButton": self.goToPrevious,
                "nextSliceButton": self.goToNext,
                "reviewedCheckBox": self.onReviewed,
            },
        )

    def show(self, segmentationNode: Any, flairNode: Any) -> None:
        """Show the slices of a result; nothing where either node, or the table of slices, is missing."""
        hasVoxels = flairNode is not None and flairNode.GetImageData() is not None
        self._segmentation, self._flair = segmentationNode, flairNode if hasVoxels else None
        isShown = segmentationNode is not None and hasVoxels
        self._scores = sliceScoresOf(segmentationNode) if isShown else ()
        self._review = reviewOf(segmentationNode) if isShown else ()
        self._views.start()
        self._fill()

    @property
    def shown(self) -> int | None:
        """The slice that the axial view shows, as far as there is one."""
        if self._flair is None or not self._scores:
            return None
        slices = self._slices()
        index = None if slices is None else shownIndex(slices)
        return None if index is None else max(0, min(len(self._scores) - 1, round(index)))

    def goTo(self, index: int) -> None:
        """Bring the axial views to a slice."""
        slices = self._slices()
        if slices is not None:
            showSlice(slices, index)
            self._onViewMoved()

    def _slices(self) -> VolumeSlices | None:
        """Of FLAIR as it lies now; None where there is none, or a non-linear transform bends it."""
        return None if self._flair is None or isBent(self._flair) else VolumeSlices.of(self._flair)

    def goToPrevious(self) -> None:
        """Go down to the next slice to review."""
        self._step(-1)

    def goToNext(self) -> None:
        """Go up to the next slice to review."""
        self._step(1)

    def toggleReviewed(self) -> None:
        """Tick the shown slice off, or take the tick back."""
        shown = self._shownReview()
        if shown is not None:
            self._setReviewed(shown.index, not shown.isReviewed)

    def onReviewed(self) -> None:
        """The box was clicked for the shown slice."""
        shown = self._shownReview()
        if shown is not None:
            self._setReviewed(shown.index, bool(self._ui.reviewedCheckBox.checked))

    def onRowClicked(self, row: int, _column: int) -> None:
        """Go to the slice of a row of the list."""
        if row < len(self._review):
            self.goTo(self._review[row].index)

    def onRowTicked(self, row: int, column: int) -> None:
        """A slice was ticked off in the list."""
        if self._isFilling or column != 0 or row >= len(self._review):
            return
        isReviewed = self._ui.reviewTable.item(row, 0).checkState() == qt.Qt.Checked
        self._setReviewed(self._review[row].index, isReviewed)

    def _step(self, step: int) -> None:
        if self._review:
            index = nextIndex([each.index for each in self._review], self.shown, step)
            if index is not None:
                self.goTo(index)

    def _setReviewed(self, index: int, isReviewed: bool) -> None:
        setReviewed(self._segmentation, index, isReviewed)
        self._review = reviewOf(self._segmentation)
        self._fill()

    def _shownReview(self) -> SliceReview | None:
        shown = self.shown
        return next((each for each in self._review if each.index == shown), None)

    def _fill(self) -> None:
        self.strip.visible = bool(self._scores)
        self.strip.display(self._stripSlices(), self.shown)
        if self._review != self._listed:
            self._listed = self._review
            self._fillList()
        self._ui.reviewCollapsibleButton.visible = bool(self._review)
        done = sum(each.isReviewed for each in self._review)
        self._ui.reviewCollapsibleButton.text = _("Slices to review ({done} of {count} reviewed)").format(
            done=done, count=len(self._review)
        )
        self._ui.previousSliceButton.enabled = self._ui.nextSliceButton.enabled = bool(self._review)
        self._describeShown()

    def _fillList(self) -> None:
        self._isFilling = True
        rows = [(str(each.index + 1), each.reason) for each in self._review]
        fillTable(self._ui.reviewTable, rows, ticks=[each.isReviewed for each in self._review])
        self._isFilling = False
        if not self._ui.reviewCollapsibleButton.collapsed:
            self._ui.reviewTable.resizeRowsToContents()

    def _onViewMoved(self) -> None:
        self.strip.mark(self.shown)
        self._describeShown()

    def _describeShown(self) -> None:
        """The sentence on the shown slice, and its tick."""
        each = self._shownReview()
        box = self._ui.reviewedCheckBox
        box.enabled = each is not None
        box.checked = each is not None and each.isReviewed
        done = sum(one.isReviewed for one in self._review)
        box.text = _("{done} of {count} reviewed").format(done=done, count=len(self._review)) if self._review else ""
        box.visible = bool(self._review)
        write(self._ui.reviewLabel, self._sentence(each))

    def _sentence(self, each: SliceReview | None) -> str:
        if not self._review:
            return ""
        shown = self.shown
        if shown is None:
            return ""
        if each is None:
            return _("Slice {slice}: nothing speaks for a second look.").format(slice=shown + 1)
        return _("Slice {slice}: {reason}").format(slice=each.index + 1, reason=each.reason)

    def _stripSlices(self) -> list[StripSlice]:
        review = {each.index: each for each in self._review}
        largest = max((each.area_mm2 for each in self._scores), default=0.0) or 1.0
        # Translated once: Slicer's tr takes most of a millisecond, and a study can have hundreds of slices.
        tip = _("Slice {slice}: score {score:.2f}, area {area:.0f} mm², uncertainty {bits:.2f}.")
        return [_stripSlice(each, review.get(each.index), largest, tip) for each in self._scores]


def _stripSlice(score: SliceScore, review: SliceReview | None, largest_mm2: float, tip: str) -> StripSlice:
    numbers = tip.format(
        slice=score.index + 1, score=score.tumour_probability, area=score.area_mm2, bits=score.mean_uncertainty
    )
    return StripSlice(
        score=score.tumour_probability,
        area=score.area_mm2 / largest_mm2,
        uncertainty=score.mean_uncertainty,
        isToReview=review is not None,
        isReviewed=review is not None and review.isReviewed,
        tip=f"{numbers}\n{review.reason}" if review is not None else numbers,
    )
