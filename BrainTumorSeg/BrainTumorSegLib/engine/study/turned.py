"""Whether a sequence lies on FLAIR turned round: upside down, back to front, or left and right changed.

Seen where a program wrote the voxels in another order than the header says, which no header shows. Both heads then
cover each other, so that neither the fields of view nor a registration tell it; the images do: what they have in common
(mutual information) is more once the sequence is turned back.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry

BETTER_TURNED = 1.12
BETTER_WITH_SIDES_CHANGED = 1.2
"""From how many times as much in common on a sequence is called turned. The halves of a head are much alike, so that a
bad place alone can make it fit better with its sides changed; docs/measurements.md has the figures."""

_LEAST_IN_COMMON = 0.2
"""Nats, once turned; images of less say nothing of each other."""
_SIDE_PX, _SLICES = 32, 16
_BINS = 16
_SIDES_CHANGED = (1, 1, -1)

Array = npt.NDArray[np.float32]
Turn = tuple[int, ...]


def turned_warnings(title: str, flair: Array, other: Array, geometry: Geometry) -> tuple[str, ...]:
    """A warning where the other sequence fits FLAIR much better turned round.

    title: how the message calls the sequence. flair, other: float32 [K, J, I], both on FLAIR's grid.
    """
    order = AxialOrder.of(geometry)
    fixed, moving = (_thinned(order.to_axial(array)) for array in (flair, other))
    if fixed.min() == fixed.max() or moving.min() == moving.max():
        return ()
    heads = _Head.of(fixed), _Head.of(moving)
    common = {turn: _in_common(*heads, turn) for turn in itertools.product((1, -1), repeat=3)}
    as_it_is = common.pop((1, 1, 1))
    found = [turn for turn in common if _is_better(turn, common[turn], as_it_is)]
    if not found:
        return ()
    best = max(found, key=lambda turn: common[turn])
    ways = ("upside down", "back to front", "left and right changed")
    how = ", ".join(way for way, step in zip(ways, best, strict=True) if step < 0)
    return (
        f"{title} fits FLAIR better turned round ({how}) than it lies by its header. One of the two is probably "
        f"stored the wrong way round: check how they overlay, and leave {title} out if it does not fit.",
    )


def _is_better(turn: Turn, common: float, as_it_is: float) -> bool:
    least = BETTER_WITH_SIDES_CHANGED if turn == _SIDES_CHANGED else BETTER_TURNED
    return common >= _LEAST_IN_COMMON and common > least * as_it_is


@dataclass(frozen=True)
class _Head:
    """levels: each voxel's grey level, 0 to _BINS - 1, of which all are about equally frequent. centre: in voxels."""

    levels: npt.NDArray[np.intp]
    centre: npt.NDArray[np.float64]

    @classmethod
    def of(cls, volume: Array) -> Self:
        """Of a thinned volume. Its head is what is brighter than the mean."""
        borders = np.unique(np.quantile(volume, np.linspace(0, 1, _BINS + 1)[1:-1]))
        centre = np.argwhere(volume > volume.mean(dtype=np.float64)).mean(axis=0)
        return cls(np.searchsorted(borders, volume), centre)


def _thinned(axial: Array) -> Array:
    """Some slices, rows and columns, evenly through the volume."""
    steps = [
        max(1, length // wanted) for length, wanted in zip(axial.shape, (_SLICES, _SIDE_PX, _SIDE_PX), strict=True)
    ]
    return np.ascontiguousarray(axial[tuple(slice(step // 2, None, step) for step in steps)])


def _in_common(fixed: _Head, moving: _Head, turn: Turn) -> float:
    """Mutual information with the sequence turned, as it then lies or with its head's centre on that of FLAIR's."""
    levels = moving.levels[tuple(slice(None, None, step) for step in turn)]
    last = np.array(levels.shape) - 1
    centre = np.where(np.array(turn) > 0, moving.centre, last - moving.centre)
    shift = np.rint(fixed.centre - centre).astype(int).tolist()
    return max(_information(fixed.levels, place) for place in (levels, np.roll(levels, shift, (0, 1, 2))))


def _information(one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]) -> float:
    """Mutual information of two volumes' grey levels, nats."""
    joint = np.bincount((one * _BINS + other).ravel(), minlength=_BINS**2).reshape(_BINS, _BINS) / one.size
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    shown = joint > 0
    return float((joint[shown] * np.log(joint[shown] / apart[shown])).sum())
