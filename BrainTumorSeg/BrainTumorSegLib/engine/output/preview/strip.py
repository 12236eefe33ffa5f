"""The strip below the slices: tumour probability, uncertainty and mask area of every axial slice of the study."""

from __future__ import annotations

from PIL import Image, ImageDraw

from BrainTumorSegLib.engine.measurement.result import Result, SliceScore
from BrainTumorSegLib.engine.measurement.review_order import worth_a_look
from BrainTumorSegLib.engine.output.axis import numbered, round_ceiling
from BrainTumorSegLib.engine.output.preview.style import (
    BAR,
    BAR_SKIPPED,
    CAUTION,
    OUTLINE,
    PANEL,
    QUIET,
    REVIEW,
    RULE,
    TEXT,
    Colour,
    font,
    write,
)

_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 64, 96, 42, 44
_MOST_TICKS = 20


def strip(result: Result, shown: tuple[SliceScore, ...], size: tuple[int, int]) -> Image.Image:
    """The strip as an RGB picture of ``size`` (width, height); ``shown`` slices have their number in bright type."""
    picture = Image.new("RGB", size, PANEL)
    draw = ImageDraw.Draw(picture)
    plot = _Plot(draw, size, len(result.slices), max(score.area_mm2 for score in result.slices))
    plot.frame()
    plot.bars(result.slices)
    plot.gate(result.settings.gate)
    plot.area(result.slices)
    plot.uncertainty(result.slices)
    plot.review({need.index for need in worth_a_look(result.review)})
    plot.numbers({score.index for score in shown})
    plot.note(result.slices, shown)
    plot.legend(result.settings.gate)
    return picture


class _Plot:
    """One pair of axes: slices along x, probability 0-1 on the left, mm2 on the right."""

    def __init__(self, draw: ImageDraw.ImageDraw, size: tuple[int, int], slices: int, largest_mm2: float) -> None:
        self._draw = draw
        self._slices = slices
        self._top_mm2 = round_ceiling(largest_mm2)
        self._left, self._right = _LEFT_PX, size[0] - _RIGHT_PX
        self._top, self._bottom = _TOP_PX, size[1] - _BOTTOM_PX
        self._pitch = (self._right - self._left) / slices

    def frame(self) -> None:
        for level in (0.0, 0.5, 1.0):
            y = self._y(level)
            self._draw.line([(self._left, y), (self._right, y)], fill=RULE)
            self._write((self._left - 8, y), f"{level:.1f}", QUIET, "rm")
            if self._top_mm2 > 0:
                self._write((self._right + 8, y), f"{level * self._top_mm2:,.4g}", OUTLINE, "lm")

    def bars(self, scores: tuple[SliceScore, ...]) -> None:
        gap = 1.5 if self._pitch > 6 else 0.0
        for score in scores:
            left = self._left + score.index * self._pitch
            box = [left + gap, self._y(score.tumour_probability), left + self._pitch - gap, self._bottom]
            self._draw.rectangle(box, fill=BAR if score.segmented else BAR_SKIPPED)

    def gate(self, gate: float) -> None:
        """A dashed line at the probability below which slices count as clear."""
        if gate > 0:
            self._dashed(self._left, self._right, self._y(gate))

    def area(self, scores: tuple[SliceScore, ...]) -> None:
        if self._top_mm2 > 0:
            points = [(self._centre(s.index), self._y(s.area_mm2 / self._top_mm2)) for s in scores]
            self._draw.line(points, fill=OUTLINE, width=3, joint="curve")

    def uncertainty(self, scores: tuple[SliceScore, ...]) -> None:
        for score in scores:
            if score.mean_uncertainty > 0:
                x, y = self._centre(score.index), self._y(score.mean_uncertainty)
                self._draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=CAUTION)

    def review(self, indices: set[int]) -> None:
        """A block below each slice that needs a second look."""
        half = max(1.0, 0.35 * self._pitch)
        for index in indices:
            x = self._centre(index)
            self._draw.rectangle([x - half, self._bottom + 3, x + half, self._bottom + 7], fill=REVIEW)

    def numbers(self, shown: set[int]) -> None:
        """Slice numbers from 1: those of the pictures above, and every few others."""
        for index in shown:
            x, top = self._centre(index), self._bottom + 9
            self._draw.polygon([(x - 4, top + 5), (x + 4, top + 5), (x, top)], fill=TEXT)
        for index in numbered(self._slices, _MOST_TICKS):
            self._write((self._centre(index), self._bottom + 17), f"{index + 1}", QUIET, "ma")

    def note(self, scores: tuple[SliceScore, ...], shown: tuple[SliceScore, ...]) -> None:
        """Which slices are among the pictures; brighter where slices with tumour are not."""
        missing = sum(score.area_mm2 > 0 for score in scores) - sum(score.area_mm2 > 0 for score in shown)
        words = "the marked ones are shown above"
        if missing:
            words += f", {missing} with tumour are not"
        self._write((self._right, 21), f"axial slices, lowest first; {words}", CAUTION if missing else QUIET, "rm")

    def legend(self, gate: float) -> None:
        x = self._left
        entries: list[tuple[str, Colour]] = [
            ("tumour probability of the slice", BAR),
            ("left out as clear", BAR_SKIPPED),
            ("mean uncertainty (bits)", CAUTION),
            ("to review", REVIEW),
        ]
        if self._top_mm2 > 0:
            entries.append(("mask area (right), mm²", OUTLINE))
        for text, colour in entries:
            self._draw.rectangle([x, 15, x + 12, 27], fill=colour)
            self._write((x + 19, 21), text, TEXT, "lm")
            x += 44 + int(self._draw.textlength(text, font=font(14)))
        if gate > 0:
            self._dashed(x, x + 15, 21)
            self._write((x + 22, 21), "gate", TEXT, "lm")

    def _dashed(self, left: int, right: int, y: float) -> None:
        for x in range(left, right, 10):
            self._draw.line([(x, y), (x + 5, y)], fill=TEXT)

    def _centre(self, index: int) -> float:
        return self._left + (index + 0.5) * self._pitch

    def _y(self, level: float) -> float:
        return self._bottom - level * (self._bottom - self._top)

    def _write(self, place: tuple[float, float], text: str, colour: Colour, anchor: str) -> None:
        write(self._draw, place, text, 14, colour, anchor)
