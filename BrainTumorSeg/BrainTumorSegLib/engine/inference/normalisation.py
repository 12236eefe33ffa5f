"""Bring a sequence's arbitrary units to one scale, whether the head has its skull or was brain-masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.order_statistics import value_at
from BrainTumorSegLib.engine.study.slabs import slabs

BACKGROUND = -1.0
"""What air and masked-out voxels become."""
BRIGHTEST = 3.0
"""Upper end of the scale: four times the typical tissue."""

_MASKED_SHARE = 0.2
_LOW_SHARE = 0.005
_HIGH_SHARE = 0.995
_DARK_FRACTION = 0.25

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scale:
    """One sequence's scale: background -1, typical brain tissue 0, nothing over 3.

    low, tissue: in the sequence's own units, the value that becomes -1 and how far above it tissue lies.
    masked: the value of masked background, None where nothing is masked.
    """

    low: np.float32
    tissue: np.float32
    masked: np.float32 | None

    @classmethod
    def of(cls, volume: Array, name: str = "The image") -> Self:
        """The scale of a sequence of at least two dimensions: finite numbers of any real type, any axis order and unit.

        Voxels that equal the median of the volume's faces, where these make up a fifth of the volume or more, count as
        masked background whatever their value (brain-masked z-scored studies have a 0 there, in the middle of the
        brain's values). Of the rest, low is the 0.5th percentile, and tissue the median of the bright part (over a
        quarter of the way from there to the 99.5th percentile), which is brain in heads with and without skull: so
        both get the same scale. Takes as much memory as the volume once more.

        Raises InputError, which calls the sequence ``name``, if all voxels have one value.
        """
        masked = _masked_value(volume)
        inside = _inside(volume, masked)
        low, high = (value_at(inside, share * (len(inside) - 1)) for share in (_LOW_SHARE, _HIGH_SHARE))
        if not high > low:
            raise InputError(
                f"{name} has no contrast: almost all voxels have the value {float(volume.flat[0]):g}.",
                "Choose a series that shows the head.",
            )
        bright = int(np.count_nonzero(inside > low + _DARK_FRACTION * (high - low)))
        middle = value_at(inside, len(inside) - bright + (bright - 1) / 2)
        return cls(np.float32(low), np.float32(middle - low), masked)

    def apply(self, part: Array) -> npt.NDArray[np.float32]:
        """The same voxels on the scale, float32 -1 to 3."""
        scaled = np.array(part, np.float32, order="C")
        scaled -= self.low
        scaled /= self.tissue
        scaled -= 1
        np.clip(scaled, BACKGROUND, BRIGHTEST, out=scaled)
        if self.masked is not None:
            scaled[part == self.masked] = BACKGROUND
        return scaled

    def brighter(self, part: Array, level: float) -> npt.NDArray[np.bool_]:
        """Which voxels have more than ``level`` (over -1) on the scale."""
        above = part > self.low + (np.float32(level) + 1) * self.tissue
        return above if self.masked is None else above & (part != self.masked)


def normalise_sequence(array: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """A whole sequence on its scale, float32 of the same shape, see ``Scale``.

    Raises InputError if all voxels have one value.
    """
    volume = np.asarray(array, dtype=np.float32)
    return Scale.of(volume).apply(volume)


def _masked_value(volume: Array) -> np.float32 | None:
    """The constant value in which a masked or padded volume is embedded; None where there is none."""
    faces = np.concatenate([volume.take(end, axis=axis).ravel() for axis in range(volume.ndim) for end in (0, -1)])
    value = np.float32(np.median(faces))
    share = sum(np.count_nonzero(volume[part] == value) for part in slabs(volume.shape)) / volume.size
    return value if share >= _MASKED_SHARE else None


def _inside(volume: Array, masked: np.float32 | None) -> npt.NDArray[np.float32]:
    """The voxels that are not masked, float32 [N] in any order, at least one; all where all are."""
    if masked is None:
        return np.asarray(volume, np.float32).ravel(order="K")
    inside = np.concatenate([volume[part][volume[part] != masked] for part in slabs(volume.shape)]).astype(
        np.float32, copy=False
    )
    return inside if inside.size else np.array([masked])
