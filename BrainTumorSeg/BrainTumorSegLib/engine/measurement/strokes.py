"""Segmenting again around a person's strokes: the strokes hold, what was reviewed holds, the rest near them follows.

By scikit-image's random walker (Grady, "Random walks for image segmentation", PAMI 2006), imported only where it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.measurement.mask import (
    NEIGHBOURS_26,
    bounding_box,
    check_shape,
    is_small,
    label_components,
    piece_sizes,
)
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.float32]

REACH_MM = 15.0
"""How far from a stroke voxels may change."""
_TUMOUR, _BACKGROUND = 1, 2
# How strongly a step of brightness or probability keeps the walker back: scikit-image's own default.
_BETA = 130.0
_WINDOW_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True)
class Strokes:
    """What a person drew: tumour and background, each bool [K, J, I] on the volume's grid.

    held: what was drawn earlier, of either kind: it stays as it is, and its neighbourhood is not asked for again.
    """

    tumour: Mask
    background: Mask
    held: Mask | None = None

    def __post_init__(self) -> None:
        """Raises InputError for strokes that contradict each other, or none at all."""
        both = int(np.count_nonzero(self.tumour & self.background))
        if both:
            raise InputError(
                f"{both} voxels are drawn as tumour and as background.", "Erase one of the two strokes there."
            )
        if not self.tumour.any() and not self.background.any():
            raise InputError("There are no strokes.", "Draw some where the outline is wrong.")


def refine_by_strokes(
    flair: Volume,
    probability: Volume,
    mask: Mask,
    strokes: Strokes,
    geometry: Geometry,
    reviewed: tuple[int, ...] = (),
    min_volume_ml: float = 0.0,
) -> Mask:
    """The mask, segmented again within REACH_MM of the strokes.

    flair: any unit; probability: 0-1; both float32 [K, J, I] on ``geometry``, like mask. reviewed: axial slices, from 0
    the lowest, which never change. Strokes outside those hold exactly. Beyond the reach, and where a whole
    neighbourhood looks alike or knows only one of tumour and background, nothing but the strokes themselves changes.
    min_volume_ml: a piece that becomes smaller than this is left out, unless somebody drew in it or one of its slices
    is reviewed. Returns bool [K, J, I]. Raises InputError for a slice that is not there or strokes in reviewed slices
    alone.
    """
    for array in (flair, probability, mask, strokes.tumour, strokes.background):
        check_shape(array.shape, geometry)
    open_voxels = ~_in_slices(reviewed, geometry)
    tumour, background = strokes.tumour & open_voxels, strokes.background & open_voxels
    drawn = tumour | background
    if not drawn.any():
        raise InputError(
            "All strokes lie in slices that are ticked off as reviewed, which never change.",
            "Take the tick from a slice to change it.",
        )
    fixed = drawn | ~open_voxels
    if strokes.held is not None:
        fixed |= strokes.held
    refined = (mask | tumour) & ~background
    near = (_distance_mm(drawn, geometry) <= REACH_MM) & open_voxels
    box = _box_around(near)
    asked = near[box] & ~fixed[box]
    labels = np.where(asked, 0, np.where(refined[box], _TUMOUR, _BACKGROUND))
    # Seeds of one kind alone say nothing about where the other begins.
    knows_both = asked.any() and {_TUMOUR, _BACKGROUND} <= set(np.unique(labels).tolist())
    seen = _seen(flair[box], probability[box])
    # skimage divides by the spread: without one, as in masked air, every voxel would become tumour.
    if knows_both and seen.std() > 0:
        found = _walk(seen, labels)
        refined[box] = np.where(asked, found, refined[box])
    return refined & ~_scraps(refined, mask, fixed, geometry, min_volume_ml)


def _scraps(refined: Mask, before: Mask, fixed: Mask, geometry: Geometry, min_volume_ml: float) -> Mask:
    """The voxels of pieces that the refinement has made smaller than a volume; nothing in them is fixed."""
    labels, count = label_components(refined)
    changed = scipy.ndimage.binary_dilation(refined != before, NEIGHBOURS_26)
    leaves = np.zeros(count + 1, bool)
    leaves[labels[changed & refined]] = True
    leaves[labels[fixed]] = False
    leaves[1:] &= is_small(piece_sizes(labels, count), geometry, min_volume_ml)
    return refined & leaves[labels]


def _walk(seen: npt.NDArray[np.float64], labels: npt.NDArray[np.int_]) -> Mask:
    """Where the walker comes to tumour first. labels: 0 where it is asked, else _TUMOUR or _BACKGROUND.

    No spacing is given: scikit-image divides each step of brightness by it, so that an edge between thick slices would
    hardly keep the walker back.
    """
    from skimage.segmentation import random_walker

    found = random_walker(seen, labels, beta=_BETA, mode="cg_j", tol=1e-4, prob_tol=1e-2, channel_axis=-1)
    return np.asarray(found == _TUMOUR)


def _seen(flair: Volume, probability: Volume) -> npt.NDArray[np.float64]:
    """What the walker goes by, brightness and probability [K, J, I, 2], 0-1 each."""
    return np.stack([_brightness(flair), np.clip(probability, 0, 1)], axis=-1).astype(np.float64)


def _brightness(flair: Volume) -> npt.NDArray[np.float32]:
    """0-1 within the box, so that a step of it weighs as much as one of the probability."""
    low, high = np.percentile(flair, _WINDOW_PERCENTILES)
    scaled: npt.NDArray[np.float32] = np.clip((flair - low) / max(float(high - low), 1e-6), 0, 1)
    return scaled


def _in_slices(indices: tuple[int, ...], geometry: Geometry) -> Mask:
    """The voxels of some axial slices, bool [K, J, I]."""
    inside = np.zeros(geometry.shape_kji, bool)
    axial = AxialOrder.of(geometry).to_axial(inside)
    outside = [index for index in indices if not 0 <= index < len(axial)]
    if outside:
        raise InputError(
            f"There is no slice {outside[0] + 1}: the study has {len(axial)}.", "Give the slices of this study."
        )
    axial[list(indices)] = True  # a view: this writes into the volume
    return inside


def _distance_mm(drawn: Mask, geometry: Geometry) -> npt.NDArray[np.float64]:
    """To the nearest stroke, over the part of the volume that can be near; infinite beyond it."""
    distance = np.full(drawn.shape, np.inf)
    around = _box_around(drawn, [int(np.ceil(REACH_MM / length)) + 1 for length in geometry.spacing_mm[::-1]])
    distance[around] = scipy.ndimage.distance_transform_edt(~drawn[around], sampling=geometry.spacing_mm[::-1])
    return distance


def _box_around(mask: Mask, margin: Sequence[int] = (1, 1, 1)) -> tuple[slice, ...]:
    """The box of a mask that is not empty, with a margin of voxels along k, j, i where the volume has room."""
    box = bounding_box(mask)
    assert box is not None, "the callers' masks hold a stroke"
    sides = zip(box, margin, mask.shape, strict=True)
    return tuple(slice(max(0, part.start - more), min(size, part.stop + more)) for part, more, size in sides)
