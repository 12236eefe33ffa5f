"""Padding: the one value, far from all others, with which programs fill what was never measured.

A few per cent of it are enough to mislead whatever goes by percentiles: with a tenth of a study's rows at -32768 its
tissue has no contrast left, and no tumour is found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LEAST_SHARE = 0.001
_LEAST_GAP = 0.1
"""Of the range of all other values, to the nearest of them. Measured values lie close together, down to air."""
_SAMPLE_STEP = 29
# A masked background: the rest of the program knows it, and it may lie apart from the brain's values.
_MASKED_SHARE = 0.2

Array = npt.NDArray[np.float32]


def without_padding(title: str, array: Array) -> tuple[Array, tuple[str, ...]]:
    """The array with padding at the lowest value that was measured, and a warning where there was any.

    title: how the message calls the sequence. array: finite float32 [K, J, I]; the same one is returned where nothing
    is padded. Padding is the lowest value, where it is negative (0 is air), or the highest, where a thousandth of the
    voxels or more has it, one of the volume's corners among them (what a scan shows of the highest may reach a face,
    and never a corner), and no other comes near it; not the background of a volume that is masked.
    """
    warnings: list[str] = []
    lowest, highest = float(array.min()), float(array.max())
    for value in (lowest, highest) if lowest < 0 else (highest,):
        if not _may_be_padding(array, value):
            continue
        padded = array == np.float32(value)
        others = array[~padded]
        if _lies_apart(value, others) and _fills_corners(padded) and not _is_masked(padded):
            array = np.where(padded, others.min(), array)
            warnings.append(
                f"{title}: {np.count_nonzero(padded)} voxels have the value {value:g}, far from all others. They were "
                "taken as padding and set to the lowest value that was measured."
            )
    return array, tuple(warnings)


def _may_be_padding(array: Array, value: float) -> bool:
    """By a part of the voxels, which settles it for nearly every volume."""
    sample = array.ravel()[::_SAMPLE_STEP]
    others = sample[sample != np.float32(value)]
    return len(sample) - len(others) >= _LEAST_SHARE * len(sample) / 2 and _lies_apart(value, others)


def _lies_apart(value: float, others: Array) -> bool:
    if not others.size:
        return False
    low, high = float(others.min()), float(others.max())
    return high > low and max(low - value, value - high) > _LEAST_GAP * (high - low)


def _fills_corners(padded: npt.NDArray[np.bool_]) -> bool:
    """Whatever a program turned, moved or cropped, it left a corner to fill."""
    enough = np.count_nonzero(padded) >= _LEAST_SHARE * padded.size
    return bool(enough and padded[np.ix_((0, -1), (0, -1), (0, -1))].any())


def _is_masked(padded: npt.NDArray[np.bool_]) -> bool:
    return bool(np.count_nonzero(padded) >= _MASKED_SHARE * padded.size and _faces(padded).mean() > 0.5)


def _faces(padded: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The voxels of all six faces, bool [N]."""
    return np.concatenate([padded.take(end, axis=axis).ravel() for axis in range(3) for end in (0, -1)])
