"""The strip along the study: one bar a slice for score, area and uncertainty; a click or a drag picks a slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

HEIGHT_PX = 78
_BAND_PX = 20
_MARKS_PX = 12
_CAPTION_PX = 66
_GAP_PX = 2

# Legible on Slicer's light and on its dark background alike.
_SCORE_RGB = (66, 133, 214)
_AREA_RGB = (76, 160, 80)
_UNCERTAINTY_RGB = (224, 138, 30)
_OPEN_RGB = (214, 72, 56)
_REVIEWED_RGB = (128, 128, 128)
_BAND_RGBA = (128, 128, 128, 40)


@dataclass(frozen=True)
class StripSlice:
    """One axial slice of the strip, inferior first.

    score: the classifier's tumour probability, 0-1. area: share of the largest area, 0-1. uncertainty: mean entropy,
    0-1 bit. isToReview, isReviewed: marks below the bars. tip: what the mouse over it says.
    """

    score: float
    area: float
    uncertainty: float
    isToReview: bool
    isReviewed: bool
    tip: str


class SliceStrip(qt.QLabel):
    """Draws the slices from left (inferior) to right; ``onPicked`` gets the index of a clicked or dragged-to one."""

    def __init__(self, onPicked: Callable[[int], None]) -> None:
        qt.QLabel.__init__(self)
        self._onPicked = onPicked
        self._slices: tuple[StripSlice, ...] = ()
        self._current: int | None = None
        self.setMinimumSize(120, HEIGHT_PX)
        self.setMaximumHeight(HEIGHT_PX)
        # Its picture must never decide how wide the panel is.
        self.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self.setMouseTracking(True)

    def display(self, slices: Sequence[StripSlice], current: int | None) -> None:
        """Draw these slices, one of them marked as the shown one; None marks none."""
        if (tuple(slices), current) != (self._slices, self._current):
            self._slices, self._current = tuple(slices), current
            self._draw()

    def mark(self, current: int | None) -> None:
        """Mark another slice as the shown one."""
        self.display(self._slices, current)

    def indexAt(self, x: float) -> int | None:
        """The slice at a place along the strip, px from its left; the nearest one outside; None without slices."""
        if not self._slices:
            return None
        return max(0, min(len(self._slices) - 1, int((x - _CAPTION_PX) / self._sliceWidth())))

    def placeOf(self, index: int) -> float:
        """The middle of a slice along the strip, px from its left."""
        return _CAPTION_PX + (index + 0.5) * self._sliceWidth()

    def mousePressEvent(self, event: Any) -> None:
        """Pick the slice under the mouse."""
        self._pick(event)

    def mouseMoveEvent(self, event: Any) -> None:
        """Pick on while the button is held; else say what is under the mouse."""
        if event.buttons() & qt.Qt.LeftButton:
            self._pick(event)
            return
        index = self.indexAt(event.x())
        self.setToolTip(self._slices[index].tip if index is not None else "")

    def resizeEvent(self, _event: Any) -> None:
        """Draw anew for the new width."""
        self._draw()

    def _pick(self, event: Any) -> None:
        index = self.indexAt(event.x())
        if index is not None and index != self._current:
            self._onPicked(index)

    def _sliceWidth(self) -> float:
        return max(1.0, self._width() - _CAPTION_PX) / max(1, len(self._slices))

    def _draw(self) -> None:
        pixmap = qt.QPixmap(max(1, self._width()), HEIGHT_PX)
        pixmap.fill(qt.QColor(0, 0, 0, 0))
        painter = qt.QPainter()
        painter.begin(pixmap)
        self._drawBands(painter)
        for index, each in enumerate(self._slices):
            self._drawSlice(painter, index, each)
        if self._current is not None and self._slices:
            x = round(self.placeOf(self._current))
            painter.fillRect(x - 1, 0, 2, HEIGHT_PX, self._ink())
        painter.end()
        self.setPixmap(pixmap)

    def _drawBands(self, painter: Any) -> None:
        painter.setPen(self._ink())
        for number, caption in enumerate((_("Score"), _("Area"), _("Uncertain"))):
            top = number * (_BAND_PX + _GAP_PX)
            painter.fillRect(_CAPTION_PX, top, self._width() - _CAPTION_PX, _BAND_PX, qt.QColor(*_BAND_RGBA))
            painter.drawText(0, top + _BAND_PX - 6, caption)

    def _drawSlice(self, painter: Any, index: int, each: StripSlice) -> None:
        left = round(_CAPTION_PX + index * self._sliceWidth())
        gap = 1 if self._sliceWidth() > 4 else 0
        width = max(1, round(_CAPTION_PX + (index + 1) * self._sliceWidth()) - left - gap)
        bars = ((each.score, _SCORE_RGB), (each.area, _AREA_RGB), (each.uncertainty, _UNCERTAINTY_RGB))
        for number, (share, rgb) in enumerate(bars):
            height = round(share * _BAND_PX)
            bottom = number * (_BAND_PX + _GAP_PX) + _BAND_PX
            painter.fillRect(left, bottom - height, width, height, qt.QColor(*rgb))
        if each.isToReview:
            rgb = _REVIEWED_RGB if each.isReviewed else _OPEN_RGB
            side = min(_MARKS_PX - 4, max(3, width))
            middle = left + width // 2
            painter.fillRect(middle - side // 2, HEIGHT_PX - _MARKS_PX + 2, side, side, qt.QColor(*rgb))

    def _width(self) -> int:
        # Not "width", which is a property in PythonQt and a method elsewhere.
        return int(self.contentsRect().width())

    def _ink(self) -> Any:
        return qt.QApplication.palette().color(qt.QPalette.WindowText)
