"""From a probability volume to a measured result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.measurement.lesions import find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.mask import mask_from_probability
from BrainTumorSegLib.engine.measurement.result import Lesion, SliceScore
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.study import Study

_MUCH_LEFT_OUT = 0.1
"""Part of the kept volume that makes the pieces left out worth a sentence."""
_NOISE_ML = 0.1


@dataclass(frozen=True)
class Measures:
    """What follows from a probability volume. mask: bool [K, J, I]; warnings: sentences about what was left out."""

    mask: npt.NDArray[np.bool_]
    slices: tuple[SliceScore, ...]
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
    return Measures(
        mask=mask,
        slices=_slice_scores(study, mask, probability, scores, segmented),
        lesions=find_lesions(mask, study.geometry),
        warnings=tuple(_left_out(probability, mask, study.geometry.voxel_volume_ml, used)),
    )


def _left_out(
    probability: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], voxel_ml: float, used: UsedSettings
) -> list[str]:
    """A sentence about the pieces below the smallest volume, where they are much beside what was kept."""
    kept = float(mask.sum()) * voxel_ml
    small = float((probability >= used.threshold).sum()) * voxel_ml - kept
    if small <= _MUCH_LEFT_OUT * kept or small < _NOISE_ML:
        return []
    return [
        f"Pieces smaller than {used.min_volume_ml:g} mL were left out, {small:.1f} mL together; "
        "lower the minimum lesion volume to see them."
    ]


def _slice_scores(
    study: Study,
    mask: npt.NDArray[np.bool_],
    probability: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    chosen: npt.NDArray[np.bool_],
) -> tuple[SliceScore, ...]:
    measures = slice_measures(mask, probability, study.geometry)
    return tuple(
        SliceScore(index, m.position_mm, float(scores[index]), bool(chosen[index]), m.area_mm2, m.mean_uncertainty)
        for index, m in enumerate(measures)
    )
