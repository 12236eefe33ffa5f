"""Pictures of figures as PNG: curves, bars, confusion matrices, reliability, estimates. Never of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_DPI = 110
_COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52")


def curves(panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], x: str, y: str) -> bytes:
    """A panel per title, in it named lines of (x values, y values)."""
    figure, axes = _panels(len(panels))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for colour, (name, (xs, ys)) in zip(_COLOURS, lines.items(), strict=False):
            axis.plot(xs, ys, label=name, color=colour, marker="." if len(xs) < 30 else None)
        _finish(axis, title, x, y)
        axis.legend()
    return _png(figure)


def bars(groups: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str, top: float = 1.0) -> bytes:
    """Bars side by side for each group; None leaves a gap."""
    figure = Figure(figsize=(max(5.0, 1.1 * len(groups) + 2.5), 3.8))
    axis = figure.add_subplot()
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        known = [(at, value) for at, value in enumerate(values) if value is not None]
        places = [at + (number - (len(series) - 1) / 2) * width for at, _ in known]
        drawn = axis.bar(places, [value for _, value in known], width, label=name, color=_COLOURS[number])
        axis.bar_label(drawn, fmt="%.2f", fontsize=7, padding=1)
    axis.set_xticks(range(len(groups)), groups, fontsize=8)
    axis.set_ylim(0, top * 1.1)
    _finish(axis, "", "", "")
    axis.set_title(title, loc="right", fontsize=10)
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series), frameon=False)
    return _png(figure)


def confusions(matrices: Mapping[str, Mapping[str, int]]) -> bytes:
    """A panel per title: slices by truth (rows) and finding (columns), with their share of the row."""
    figure, axes = _panels(len(matrices))
    for axis, (title, counts) in zip(axes, matrices.items(), strict=True):
        matrix = np.array(
            [
                [counts["true_negatives"], counts["false_positives"]],
                [counts["false_negatives"], counts["true_positives"]],
            ]
        )
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(2, 2):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{matrix[row, column]}\n{shares[row, column]:.1%}"
            axis.text(column, row, text, ha="center", va="center", color=colour)
        axis.set_xticks([0, 1], ["found none", "found tumour"])
        axis.set_yticks([0, 1], ["no tumour", "tumour"])
        axis.set_title(title, fontsize=10)
    return _png(figure)


def reliability_diagram(series: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> bytes:
    """Frequency of tumour by predicted probability; points of Reliability.points, a line per name."""
    figure = Figure(figsize=(4.6, 4.2))
    axis = figure.add_subplot()
    axis.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="what probabilities should mean")
    for colour, (name, points) in zip(_COLOURS, series.items(), strict=False):
        axis.plot(
            [one["probability"] for one in points],
            [one["frequency"] for one in points],
            marker="o",
            markersize=4,
            color=colour,
            label=name,
        )
    _finish(axis, title, "predicted probability", "frequency of tumour")
    axis.legend(fontsize=7, loc="upper left")
    return _png(figure)


def estimates(values: Mapping[str, Mapping[str, float]], scattered: Mapping[str, Sequence[float]], title: str) -> bytes:
    """Bars of {value, low, high} by name; scattered: single values to be drawn as points over some of the bars."""
    figure = Figure(figsize=(1.3 * len(values) + 1.2, 3.8))
    axis = figure.add_subplot()
    for place, (name, one) in enumerate(values.items()):
        interval = [[one["value"] - one["low"]], [one["high"] - one["value"]]]
        axis.bar(place, one["value"], 0.6, yerr=interval, capsize=4, color=_COLOURS[0], alpha=0.75)
        axis.text(place, 0.03, f"{one['value']:.3f}", ha="center", fontsize=8, color="white")
        points = scattered.get(name, ())
        spread = 0.4 * (np.arange(len(points)) % 7 - 3) / 7
        axis.plot(place + spread, points, ".", color="0.25", markersize=3)
    axis.set_xticks(range(len(values)), list(values), fontsize=8)
    axis.set_ylim(0, 1.02)
    _finish(axis, title, "", "")
    return _png(figure)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.6 * count, 3.6))
    axes = figure.subplots(1, count, squeeze=False)
    return figure, list(axes[0])


def _finish(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3)


def _png(figure: Figure) -> bytes:
    """The same bytes for the same figure and the same matplotlib: no date, no program's name."""
    FigureCanvasAgg(figure)
    figure.tight_layout()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
