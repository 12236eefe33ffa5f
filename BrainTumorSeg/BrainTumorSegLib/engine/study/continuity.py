"""Whether the slices of a volume follow one another as those of one scan do.

Told from the image alone, whatever file it came from: voxels that have nothing to do with their neighbours, slices that
are blank, copied, out of their order or scaled each in its own way. Nothing in a header shows these, and the networks
outline something all the same. Only said, never refused; docs/measurements.md has how far right and wrong volumes lie
apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEAST_LIKENESS = 0.55
"""Of neighbouring voxels of a slice, a correlation: less is noise, or bytes that were misread."""
MOST_OUT_OF_PLACE = 0.08
"""By how much two slices may correlate better with each other than both do with the one between them."""
LEAST_NEIGHBOURS = 0.6
"""Share of slices that must resemble one beside them, or one in the head's other half, more than any other."""

MOST_UNEVEN, MOST_UNEVEN_OF_ALL = 1.1, 0.2
"""By how much the logarithm of a slice's contrast may lie off the mean of its neighbours': for one slice, and for the
median of all."""

_PLANES_FOR_LIKENESS = 8
_PART_OF_STACK = (0.25, 0.75)
_FEWEST_PX = 64
"""Along rows and columns: in coarser images neighbours differ as much as noise does."""
_SAMPLED_PX = 64
_COMPARED_PX = 12
"""So many blocks along the shorter side are compared, of some 15 mm: edges move little from slice to slice then."""
_LEAST_CONTRAST = 0.25
"""Of the median slice's: a slice of less shows too little of the head to be compared."""
_FEWEST_COMPARED = 8
_NEARLY_ALIKE = 0.02
"""Of the range of values: two images that differ by less in every pixel."""
_AS_SIMILAR = 0.005
"""Correlations that differ by less are one and the same: thick slices that were cut up are all alike."""
_SAME_SPACING = 0.99
_LISTED = 4

Array = npt.NDArray[np.float32]


def continuity_warnings(title: str, array: Array, spacing_mm: Sequence[float]) -> tuple[str, ...]:
    """A sentence for each way in which a volume's slices are no scan's.

    title: how messages call the sequence. array: finite float32 [K, J, I]; spacing_mm: along i, j, k. Slices are those
    along the widest spacing, counted from 1 in the file's order.
    """
    slices = np.moveaxis(array, _stack_axis(spacing_mm), 0)
    samples = _samples(slices)
    if min(slices.shape[1:]) >= _FEWEST_PX and _likeness(slices) < LEAST_LIKENESS:
        return (
            f"{title} looks like noise: neighbouring voxels have little in common, as where bytes were misread. The "
            "outline means nothing then: export the series again.",
        )
    return (
        *_blank_warnings(title, slices, samples),
        *_copy_warnings(title, slices, samples),
        *_shown_warnings(title, samples),
    )


def _stack_axis(spacing_mm: Sequence[float]) -> int:
    """The array axis [K, J, I] of the widest spacing, the first of several."""
    by_axis = spacing_mm[::-1]
    return next(axis for axis in range(3) if by_axis[axis] >= _SAME_SPACING * max(by_axis))


def _samples(slices: Array) -> Array:
    """Some pixels of each slice, evenly through it: float32 [S, R, C]."""
    rows, columns = (max(1, length // _SAMPLED_PX) for length in slices.shape[1:])
    return np.ascontiguousarray(slices[:, rows // 2 :: rows, columns // 2 :: columns])


def _likeness(slices: Array) -> float:
    """Correlation of pixels with those beside them, of rows or of columns, whichever is less: -1 to 1."""
    low, high = _PART_OF_STACK
    positions = np.unique(np.rint(np.linspace(low, high, _PLANES_FOR_LIKENESS) * (len(slices) - 1)).astype(int))
    planes = np.array(slices[positions])
    planes -= planes.mean()
    variance = float(np.square(planes).mean())
    if variance == 0:
        return 1.0
    beside = (planes[:, 1:] * planes[:, :-1]).mean(), (planes[:, :, 1:] * planes[:, :, :-1]).mean()
    return float(min(beside)) / variance


def _blank_warnings(title: str, slices: Array, samples: Array) -> tuple[str, ...]:
    blank = samples.min(axis=(1, 2)) == samples.max(axis=(1, 2))
    blank[blank] = [plane.min() == plane.max() for plane in slices[blank]]
    shown = np.flatnonzero(~blank)
    if not shown.size:
        return ()
    lost = shown[0] + np.flatnonzero(blank[shown[0] : shown[-1]])
    if not lost.size:
        return ()
    return (
        f"{title} has blank slices among those that show something: {_listed(lost)} in the file's order. They were "
        "lost on the way, and what lies there is missing from the outline: export the series again.",
    )


def _copy_warnings(title: str, slices: Array, samples: Array) -> tuple[str, ...]:
    """Of slices that show enough of the head, but for those at its ends: programs that resample repeat them, or nearly
    so.
    """
    places = np.flatnonzero(samples.min(axis=(1, 2)) < samples.max(axis=(1, 2)))
    apart = np.abs(samples[places[1:]] - samples[places[:-1]]).max(axis=(1, 2))
    changes = np.flatnonzero(apart > _NEARLY_ALIKE * (samples.max() - samples.min()))
    if not changes.size:
        return ()
    alike = apart == 0
    alike[: changes[0]] = alike[changes[-1] :] = False
    pairs = zip(places[1:][alike], places[:-1][alike], strict=True)
    alike[alike] = [np.array_equal(slices[one], slices[other]) for one, other in pairs]
    copies = places[1:][alike & _shows_head(_contrast(samples)[1])[places[1:]]]
    if not copies.size:
        return ()
    return (
        f"{title} shows the same image more than once: {_listed(copies)} in the file's order repeat the slice before. "
        "Lost slices were filled so, or thick ones were cut up: volumes and lengths may be wrong.",
    )


def _shown_warnings(title: str, samples: Array) -> tuple[str, ...]:
    """Of what the slices show: their order, and how bright they are."""
    deviations, contrast = _contrast(samples)
    compared = np.flatnonzero(_shows_head(contrast))
    if len(compared) < _FEWEST_COMPARED:
        return ()
    unit = deviations[compared] / contrast[compared, None]
    between = np.arange(compared[0], compared[-1] + 1)
    between = between[contrast[between] > 0]
    return _order_warnings(title, compared, unit @ unit.T) + _scale_warnings(title, between, contrast[between])


def _order_warnings(title: str, compared: npt.NDArray[np.intp], alike: Array) -> tuple[str, ...]:
    """compared: the slices; alike: their correlations with each other."""
    outside = np.flatnonzero(_out_of_place(alike) > MOST_OUT_OF_PLACE) + 1
    if not outside.size and _neighbours_share(alike) >= LEAST_NEIGHBOURS:
        return ()
    where = f": {_listed(compared[outside])} in the file's order least of all" if outside.size else ""
    return (
        f"{title}'s slices do not follow one another{where}. They are in a wrong order, or some are damaged or not of "
        "this patient; the outline is wrong then. Export the series again.",
    )


def _scale_warnings(title: str, shown: npt.NDArray[np.intp], contrast: Array) -> tuple[str, ...]:
    """shown: the slices from the first that shows the head to the last; contrast: of each."""
    level = np.log(contrast)
    uneven = np.abs(level[1:-1] - (level[:-2] + level[2:]) / 2)
    outside = np.flatnonzero(uneven > MOST_UNEVEN) + 1
    if not outside.size and np.median(uneven) <= MOST_UNEVEN_OF_ALL:
        return ()
    where = f": {_listed(shown[outside])} in the file's order most of all" if outside.size else ""
    return (
        f"{title}'s brightness changes from slice to slice{where}, as where each slice's own scale was lost. The "
        "outline is not to be relied on: export the series again.",
    )


def _contrast(samples: Array) -> tuple[Array, Array]:
    """Of each slice, by how much its blocks differ from its mean, [S, B], and how much that is in all, [S]."""
    blocks = _blocks(samples)
    deviations = blocks - blocks.mean(axis=1, keepdims=True)
    return deviations, np.linalg.norm(deviations, axis=1)


def _shows_head(contrast: Array) -> npt.NDArray[np.bool_]:
    """Which slices show enough of it to be compared."""
    return contrast > _LEAST_CONTRAST * np.median(contrast)


def _blocks(samples: Array) -> Array:
    """Means over square blocks: float32 [S, B]."""
    count, height, width = samples.shape
    side = max(1, min(height, width) // _COMPARED_PX)
    rows, columns = height // side, width // side
    whole = samples[:, : rows * side, : columns * side].reshape(count, rows, side, columns, side)
    return whole.mean(axis=(2, 4)).reshape(count, -1)


def _out_of_place(alike: Array) -> Array:
    """For each slice but the outer two, by how much its neighbours resemble each other more than either it."""
    return np.asarray(np.diagonal(alike, 2) - np.maximum(np.diagonal(alike, 1)[:-1], np.diagonal(alike, 1)[1:]))


def _neighbours_share(alike: Array) -> float:
    """Of how many slices the most similar one, or one that is as similar, lies beside it, or where the other half of
    the head is its mirror image (as in sagittal stacks), 0-1.
    """
    places = np.arange(len(alike))
    others = alike - 3 * np.eye(len(alike), dtype=np.float32)
    nearest = others.argmax(axis=1)
    next_to = np.diagonal(alike, 1)
    most_beside = np.maximum(np.append(next_to, -1), np.insert(next_to, 0, -1))
    beside = most_beside >= others.max(axis=1) - _AS_SIMILAR
    if beside.all():
        return 1.0
    sums = (nearest + places)[~beside]
    beside[~beside] = np.abs(sums - np.median(sums)) <= 1
    return float(beside.mean())


def _listed(indices: npt.NDArray[np.intp]) -> str:
    shown = ", ".join(str(index + 1) for index in indices[:_LISTED])
    return shown + (f" and {len(indices) - _LISTED} more" if len(indices) > _LISTED else "")
