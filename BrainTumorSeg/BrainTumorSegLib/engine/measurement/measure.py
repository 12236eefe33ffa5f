"""From a probability volume to a measured result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.measurement.lesions import slice_measures
from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.study import Study

_MUCH_LEFT_OUT = 0.1


_NOISE_ML = 0.1


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
