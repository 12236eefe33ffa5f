"""The strip of all slices as a vector drawing: classifier score, tumour area, uncertainty. For HTML and PDF alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.engine.output.axis import numbered, round_ceiling
from BrainTumorSegLib.engine.output.page.ink import AREA, BAR, BAR_SKIPPED, DOUBT, INK, QUIET, REVIEW, RULE, Ink

if TYPE_CHECKING:
    from reportlab.graphics.shapes import Drawing

FONT = "Helvetica"
_SIZE_PT = 6.5
_LEFT_PT, _RIGHT_PT, _TOP_PT, _BOTTOM_PT = 20.0, 30.0, 14.0, 12.0
_MOST_TICKS = 24


def strip_drawing(
    slices: tuple[SliceScore, ...], gate: float, to_review: Sequence[int], width_pt: float, height_pt: float
) -> Drawing:
    """The strip, in points: slices from left (lowest) to right, probability on the left axis, mm2 on the right.

    to_review: slices, from 0, that get a mark.
    """
    from reportlab.graphics.shapes import Drawing

    drawing = Drawing(width_pt, height_pt)
    plot = _Plot(drawing, width_pt, height_pt, slices)
    plot.axes()
    plot.bars()
    plot.gate(gate)
    plot.area()
    plot.doubts()
    plot.review(to_review)
    plot.numbers()
    plot.legend()
    return drawing


class _Plot:
    """One pair of axes. reportlab's y grows upwards."""

    def __init__(self, drawing: Drawing, width: float, height: float, slices: tuple[SliceScore, ...]) -> None:
        self._drawing = drawing
        self._slices = slices
        self._left, self._right = _LEFT_PT, width - _RIGHT_PT
        self._bottom, self._top = _BOTTOM_PT, height - _TOP_PT
        self._pitch = (self._right - self._left) / len(slices)
        self._top_mm2 = round_ceiling(max(one.area_mm2 for one in slices))

    def axes(self) -> None:
        for level in (0.0, 0.5, 1.0):
            y = self._y(level)
            self._line([self._left, y, self._right, y], RULE, 0.5)
            self._text(self._left - 3, y - 2, f"{level:g}", QUIET, "end")
            if self._top_mm2 > 0:
                self._text(self._right + 3, y - 2, f"{level * self._top_mm2:,.4g}", AREA, "start")

    def bars(self) -> None:
        from reportlab.graphics.shapes import Rect

        gap = 0.12 * self._pitch
        for one in self._slices:
            left = self._left + one.index * self._pitch
            height = self._y(one.tumour_probability) - self._bottom
            fill = _colour(BAR if one.segmented else BAR_SKIPPED)
            self._drawing.add(
                Rect(left + gap, self._bottom, self._pitch - 2 * gap, height, fillColor=fill, strokeColor=None)
            )

    def gate(self, gate: float) -> None:
        """A dashed line at the probability below which slices count as clear."""
        if gate > 0:
            self._line([self._left, self._y(gate), self._right, self._y(gate)], INK, 0.6, (2.0, 2.0))

    def area(self) -> None:
        if self._top_mm2 > 0:
            points = [(self._x(one.index), self._y(one.area_mm2 / self._top_mm2)) for one in self._slices]
            self._line([part for point in points for part in point], AREA, 1.4)

    def doubts(self) -> None:
        from reportlab.graphics.shapes import Circle

        for one in self._slices:
            if one.mean_uncertainty > 0:
                place = self._x(one.index), self._y(one.mean_uncertainty)
                self._drawing.add(Circle(*place, 1.5, fillColor=_colour(DOUBT), strokeColor=None))

    def review(self, indices: Sequence[int]) -> None:
        """A block below each slice that needs a second look."""
        from reportlab.graphics.shapes import Rect

        half = 0.35 * self._pitch
        for index in indices:
            place = (self._x(index) - half, self._bottom - 3, 2 * half, 2)
            self._drawing.add(Rect(*place, fillColor=_colour(REVIEW), strokeColor=None))

    def numbers(self) -> None:
        for index in numbered(len(self._slices), _MOST_TICKS):
            self._text(self._x(index), self._bottom - 10, f"{index + 1}", QUIET, "middle")

    def legend(self) -> None:
        from reportlab.graphics.shapes import Rect
        from reportlab.pdfbase.pdfmetrics import stringWidth

        x = self._left
        entries = [
            ("probability of tumour in the slice", BAR),
            ("left out: below the dashed line", BAR_SKIPPED),
            ("mean uncertainty, bits", DOUBT),
            ("to review", REVIEW),
            ("outlined area, mm² (right)", AREA),
        ]
        for text, ink in entries:
            self._drawing.add(Rect(x, self._top + 6, 5, 5, fillColor=_colour(ink), strokeColor=None))
            self._text(x + 7, self._top + 6.2, text, INK, "start")
            x += 18 + stringWidth(text, FONT, _SIZE_PT)
        self._text(self._right, self._top + 6.2, "lowest slice first", QUIET, "end")

    def _x(self, index: int) -> float:
        return self._left + (index + 0.5) * self._pitch

    def _y(self, level: float) -> float:
        return self._bottom + level * (self._top - self._bottom)

    def _line(self, points: list[float], ink: Ink, width: float, dashes: tuple[float, float] | None = None) -> None:
        from reportlab.graphics.shapes import PolyLine

        self._drawing.add(PolyLine(points, strokeColor=_colour(ink), strokeWidth=width, strokeDashArray=dashes))

    def _text(self, x: float, y: float, text: str, ink: Ink, anchor: str) -> None:
        from reportlab.graphics.shapes import String

        self._drawing.add(
            String(x, y, text, fontName=FONT, fontSize=_SIZE_PT, fillColor=_colour(ink), textAnchor=anchor)
        )


def _colour(ink: Ink) -> object:
    from reportlab.lib.colors import HexColor

    return HexColor(ink)
