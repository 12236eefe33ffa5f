"""A rough brain mask from FLAIR, to show the network heads without skull while it learns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

_TISSUE = (-0.55, 0.9)
"""Normalised FLAIR of brain: above fluid and bone, below the fat of the scalp."""


def rough_brain_mask(
    flair: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_], erosion_px: int
) -> npt.NDArray[np.bool_]:
    """Brain voxels [S, H, W] of a normalised FLAIR stack (see engine.normalisation), slices 256 px wide.

    Skull and subarachnoid space are dark on FLAIR and part the brain from the scalp: in-slice erosion cuts what
    bridges remain, the largest piece of the stack is the brain, dilation gives its border back. erosion_px is the
    radius of that cut; different radii give different, all plausible, masks. ``keep`` (the tumour) always stays in.
    """
    smooth = ndimage.gaussian_filter(flair, (0, 1, 1))
    tissue = (smooth > _TISSUE[0]) & (smooth < _TISSUE[1])
    disk = _disk(erosion_px)[None]
    pieces, count = ndimage.label(ndimage.binary_erosion(tissue, disk))
    if not count:
        return keep
    sizes = np.bincount(pieces.ravel())[1:]
    core = pieces == 1 + int(np.argmax(sizes))
    brain = ndimage.binary_dilation(core, _disk(erosion_px + 1)[None]) | keep
    closed = ndimage.binary_closing(np.pad(brain, ((0, 0), (9, 9), (9, 9))), _disk(6)[None])[:, 9:-9, 9:-9]
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed])


def _disk(radius: int) -> npt.NDArray[np.bool_]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return x * x + y * y <= radius * radius
