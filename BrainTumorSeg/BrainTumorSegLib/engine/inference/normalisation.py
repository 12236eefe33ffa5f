"""Bring a sequence's arbitrary units to one scale, whether the head has its skull or was brain-masked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import InputError

BACKGROUND = -1.0
"""What air and masked-out voxels become."""
BRIGHTEST = 3.0
"""Upper end of the scale: four times the typical tissue."""

_MASKED_SHARE = 0.2
_LOW_PERCENTILE = 0.5
_HIGH_PERCENTILE = 99.5
_DARK_FRACTION = 0.25


def normalise_sequence(array: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Scale one sequence so that background is -1, typical brain tissue 0, and nothing exceeds 3.

    array: finite numbers of any real type, any axis order, any unit. Voxels that equal the median of the volume's
    faces, where these make up a fifth of the volume or more, count as masked background whatever their value
    (brain-masked z-scored studies have a 0 there, in the middle of the brain's values). The rest is shifted by its
    0.5th percentile and divided by the median of its bright part (over a quarter of the 99.5th percentile), which is
    brain tissue in heads with and without skull: so both get the same scale. Returns float32 of the same shape.

    Raises InputError if all voxels have one value.
    """
    volume = np.asarray(array, dtype=np.float32)
    masked = _masked_background(volume)
    inside = volume[~masked]
    low, high = np.percentile(inside, (_LOW_PERCENTILE, _HIGH_PERCENTILE)) if inside.size else (0.0, 0.0)
    if not high > low:
        raise InputError(
            f"The image has no contrast: almost all voxels have the value {float(volume.flat[0]):g}.",
            "Choose a series that shows the head.",
        )
    shifted = inside - low
    tissue = float(np.median(shifted[shifted > _DARK_FRACTION * (high - low)]))
    scaled = np.clip((volume - low) / tissue - 1.0, BACKGROUND, BRIGHTEST)
    return np.where(masked, np.float32(BACKGROUND), scaled).astype(np.float32)


def _masked_background(volume: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Voxels of the constant value in which a masked or padded volume is embedded; none where there is none."""
    faces = np.concatenate([volume.take(end, axis=axis).ravel() for axis in range(volume.ndim) for end in (0, -1)])
    constant = volume == np.median(faces)
    return constant if constant.mean() >= _MASKED_SHARE else np.zeros_like(constant)
