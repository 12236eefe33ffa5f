"""Whether FLAIR looks as it did in the training data: a head within its skull, and white matter darker than grey.

Told by brightness alone, from a few slices about the ventricles and above. What looks otherwise is worth a warning, not
an error: the result may be good all the same, and only a person can say what the volume is. A T2 is not told from a
FLAIR: in both the brain has a long bright end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from BrainTumorSegLib.engine.inference.preprocessing import coarsen

LEAST_BONE_SHARE = 0.2
LEAST_GREY_OVER_WHITE = 0.25
"""Below these FLAIR is unlike the training data; docs/measurements.md says how often that is wrong."""

_SLICES = 8
_PART_OF_STACK = (0.45, 0.75)
_SIDE_PX = 128
_PIXEL = 2
"""Pixels of the networks' view (0.7 to 1.2 mm) along one that is looked at here."""

_AIR_LEVEL = -0.8
_DARK_LEVEL = -0.5
"""On the networks' scale: bone and fluid are darker than this, brain is brighter."""
_BONE_DEPTHS_PX = (4, 16)
_BRAIN_DEPTH_PX = 24
_TYPICAL_SHARE = 0.2
_FEWEST_PIXELS = 500
_LEAST_RANGE = 0.1

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Appearance:
    """What a FLAIR looks like; NaN where its slices show too little to tell.

    bone_share: of the rings 2 pixels wide that lie 4 to 16 pixels below the head's surface, the largest share that is
    dark, 0-1: the skull's in a head that has one. grey_over_white: how far the most frequent brightness of brain, which
    is that of white matter, lies below its brightest tenth, as a share of what is between this and its darkest tenth:
    in FLAIR grey matter is brighter than white, in T1 darker, which leaves next to nothing above.
    """

    bone_share: float
    grey_over_white: float

    @classmethod
    def of(cls, flair: Array) -> Self:
        """The appearance of FLAIR's slices float32 [S, 256, 256] on the networks' scale, inferior first."""
        low, high = _PART_OF_STACK
        positions = np.unique(np.round(np.linspace(low, high, _SLICES) * (len(flair) - 1)).astype(int))
        planes = coarsen(flair[positions], _SIDE_PX)
        depths_px = np.stack([_depth_px(plane) for plane in planes])
        return cls(_bone_share(planes, depths_px), _grey_over_white(planes[depths_px > _BRAIN_DEPTH_PX]))

    def warnings(self) -> tuple[str, ...]:
        """In what it is unlike the training data, a sentence for the user each."""
        unlike = []
        if self.bone_share < LEAST_BONE_SHARE:
            unlike.append(
                "FLAIR shows a brain without its skull, unlike the heads that the model learned from. It was measured "
                "on few such studies, so check the outline with care."
            )
        if self.grey_over_white < LEAST_GREY_OVER_WHITE:
            unlike.append(
                "FLAIR does not look like one: hardly any of the brain is brighter than white matter, as in T1. Check "
                "that the right series was given as FLAIR."
            )
        return tuple(unlike)


def _depth_px(plane: Array) -> npt.NDArray[np.float64]:
    """How deep each pixel of a slice lies in the head, in pixels of the networks' view; 0 outside."""
    head = ndimage.binary_fill_holes(plane > _AIR_LEVEL)
    return np.asarray(ndimage.distance_transform_edt(head)) * _PIXEL


def _bone_share(planes: Array, depths_px: npt.NDArray[np.float64]) -> float:
    shallow, deep = _BONE_DEPTHS_PX
    is_shell = (depths_px >= shallow) & (depths_px < deep)
    if np.count_nonzero(is_shell) < _FEWEST_PIXELS:
        return float("nan")
    rings = (depths_px[is_shell] // _PIXEL).astype(int)
    pixels = np.bincount(rings)
    dark = np.bincount(rings, planes[is_shell] < _DARK_LEVEL)
    return float(np.max(dark / np.maximum(pixels, 1)))


def _grey_over_white(brain: Array) -> float:
    """brain: float32 [N], the pixels deep inside, fluid among them."""
    tissue = np.sort(brain[brain > _DARK_LEVEL])
    if len(tissue) < _FEWEST_PIXELS:
        return float("nan")
    dark, bright = np.percentile(tissue, (10, 90))
    if bright - dark < _LEAST_RANGE:
        return float("nan")
    return float((bright - _most_frequent(tissue)) / (bright - dark))


def _most_frequent(ordered: Array) -> float:
    """The mean of the narrowest range that holds a fifth of the values: their mode, whatever their number."""
    count = int(_TYPICAL_SHARE * len(ordered))
    start = int(np.argmin(ordered[count:] - ordered[:-count]))
    return float(ordered[start : start + count].mean())
