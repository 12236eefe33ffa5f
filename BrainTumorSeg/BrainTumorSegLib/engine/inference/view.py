"""Which part of a study networks see, at which sampling: from FLAIR's own grid to squares of 256 pixels, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.slabs import slabs

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Line:
    """One in-plane axis of the slices: ``length`` pixels of the study, some of which are the view's SIZE_PX.

    step: distance of the view's pixels in pixels of the study; None where they are the study's own. sampled: pixels
    of the whole axis at the view's sampling, the first on the study's first. start, shown: those of them that are in
    view. before: pixels of the view before the first of these.
    """

    length: int
    step: float | None
    sampled: int
    start: int
    shown: int
    before: int

    @classmethod
    def of(cls, length: int, step: float | None, middle: float) -> Self:
        """The line whose view has ``middle`` (in the study's pixels) in its middle, and no more outside than needed."""
        sampled = length if step is None else round((length - 1) / step + 1)
        centre = middle if step is None else middle / step
        start = min(max(round(centre) - SIZE_PX // 2, 0), max(sampled - SIZE_PX, 0))
        shown = min(SIZE_PX, sampled)
        return cls(length, step, sampled, start, shown, (SIZE_PX - shown) // 2)

    @property
    def seen(self) -> slice:
        """The pixels of the view that show the study."""
        return slice(self.before, self.before + self.shown)

    @property
    def within(self) -> slice:
        """The same pixels, counted along the whole axis at the view's sampling."""
        return slice(self.start, self.start + self.shown)

    def bring(self, array: Array, axis: int) -> Array:
        """The study's pixels along an axis -> those that the view shows, [.., shown, ..]."""
        if self.step is None:
            return array[_at(axis, self.within)]
        return _interpolated(array, np.arange(self.within.start, self.within.stop) * self.step, axis)

    def restore(self, array: Array, axis: int) -> Array:
        """The shown pixels along an axis -> all of the study's, 0 where there were none to show."""
        shape = list(array.shape)
        shape[axis] = self.sampled
        whole = np.zeros(shape, np.float32)
        whole[_at(axis, self.within)] = array
        return whole if self.step is None else _interpolated(whole, np.arange(self.length) / self.step, axis)


@dataclass(frozen=True)
class View:
    """The axial slices [S, 256, 256] that networks see of arrays [K, J, I]; slices stay as they are."""

    order: AxialOrder
    slices: int
    rows: Line
    columns: Line

    @classmethod
    def of(
        cls,
        order: AxialOrder,
        shape: tuple[int, ...],
        pixel_mm: float | None,
        middle: tuple[float, float],
    ) -> Self:
        """The view of axial arrays of a shape [S, H, W] with pixels of ``pixel_mm`` (None: their own).

        middle: the row and column about which to see, where not all fits.
        """
        slices, *sides = shape
        steps = [None if pixel_mm is None else pixel_mm / spacing for spacing in order.spacing_mm[1:]]
        rows, columns = (Line.of(*each) for each in zip(sides, steps, middle, strict=True))
        return cls(order, slices, rows, columns)

    def bring(self, values: Array, outside: float) -> Array:
        """float32 [K, J, I] as the slices [S, 256, 256], linearly interpolated; ``outside`` where there is no voxel."""
        brought = np.empty((self.slices, SIZE_PX, SIZE_PX), np.float32)
        self.bring_scaled(values, lambda part: np.asarray(part, np.float32), outside, brought)
        return brought

    def bring_scaled(self, values: Array, scaled: Callable[[Array], Array], outside: float, slices: Array) -> None:
        """As ``bring``, of what ``scaled`` makes of the values, slab by slab, into ``slices`` [S, 256, 256]."""
        axial = self.order.to_axial(values)
        slices[:] = outside
        for part in slabs(axial.shape):
            rows = self.rows.bring(scaled(axial[part]), 1)
            slices[part, self.rows.seen, self.columns.seen] = self.columns.bring(rows, 2)

    def restore(self, values: Array) -> Array:
        """float32 [S, 256, 256] as an array [K, J, I], linearly interpolated; 0 outside the view."""
        shape = (self.slices, self.rows.length, self.columns.length)
        restored = np.empty([shape[axis] for axis in np.argsort(self.order.axes)], np.float32)
        axial = self.order.to_axial(restored)
        for part in slabs(axial.shape):
            if not values[part].any():  # most slices of most studies, which the gate left out
                axial[part] = 0.0
                continue
            columns = self.columns.restore(values[part, self.rows.seen, self.columns.seen], 2)
            axial[part] = self.rows.restore(columns, 1)
        return restored


def _interpolated(array: Array, places: npt.NDArray[np.float64], axis: int) -> Array:
    """Linear interpolation along an axis at places in its pixels; beyond the ends, their values."""
    last = array.shape[axis] - 1
    places = np.clip(places, 0, last)
    below = places.astype(np.intp)
    weight = np.expand_dims((places - below).astype(np.float32), [each for each in range(array.ndim) if each != axis])
    lower, upper = array.take(below, axis), array.take(np.minimum(below + 1, last), axis)
    upper -= lower
    upper *= weight
    lower += upper
    return lower


def _at(axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None) for _ in range(axis)), part)
