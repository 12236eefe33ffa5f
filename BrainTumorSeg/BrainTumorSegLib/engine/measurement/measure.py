"""From a probability volume to a measured result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.measurement.lesions import SliceMeasure, find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.mask import mask_from_probability
from BrainTumorSegLib.engine.measurement.result import Lesion, SliceScore
from BrainTumorSegLib.engine.measurement.review_order import ReviewNeed, review_order
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.study import Study

_MUCH_LEFT_OUT = 0.1
"""Part of the kept volume that makes the pieces left out worth a sentence."""
_NOISE_ML = 0.1


@dataclass(frozen=True)
class Measures:
    """What follows from a probability volume.

    mask: bool [K, J, I]. review: see ``Result``. warnings: sentences about what was left out.
    """

    mask: npt.NDArray[np.bool_]
    slices: tuple[SliceScore, ...]
    review: tuple[ReviewNeed, ...]
    lesions: tuple[Lesion, ...]
    warnings: tuple[str, ...]


def measure(
    study: Study,
    probability: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    segmented: npt.NDArray[np.bool_],
    used: UsedSettings,
) -> Measures:
    """Mask, lesions and slice scores of a probability volume float32 [K, J, I] on FLAIR's grid, 0-1.

    scores: tumour probability of each axial slice [S], inferior first. segmented: which of them the gate let through,
    bool [S].
    """
    mask = mask_from_probability(probability, study.geometry, used.threshold, used.min_volume_ml)
    slices = slice_scores(slice_measures(mask, probability, study.geometry), scores, segmented)
    return Measures(
        mask=mask,
        slices=slices,
        review=review_order(slices),
        lesions=find_lesions(mask, study.geometry),
        warnings=tuple(_left_out(probability, mask, study.geometry.voxel_volume_ml, used)),
    )


def _left_out(
    probability: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], voxel_ml: float, used: UsedSettings
) -> list[str]:
    """A sentence about the pieces below the smallest volume, where they are much beside what was kept."""
    kept = np.count_nonzero(mask) * voxel_ml
    small = np.count_nonzero(probability >= used.threshold) * voxel_ml - kept
    if small <= _MUCH_LEFT_OUT * kept or small < _NOISE_ML:
        return []
    return [
        f"Pieces smaller than {used.min_volume_ml:g} mL were left out, {small:.1f} mL together; "
        "lower the minimum lesion volume to see them."
    ]


def slice_scores(
    measures: Sequence[SliceMeasure],
    scores: Sequence[float] | npt.NDArray[np.floating[Any]],
    segmented: Sequence[bool] | npt.NDArray[np.bool_],
) -> tuple[SliceScore, ...]:
    """What was measured in each axial slice with the classifier's scores, 0-1, and what the gate let through."""
    return tuple(
        SliceScore(index, tumour_probability=float(score), segmented=bool(seen), **asdict(m))
        for index, (m, score, seen) in enumerate(zip(measures, scores, segmented, strict=True))
    )
