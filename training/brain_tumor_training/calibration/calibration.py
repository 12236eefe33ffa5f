"""Temperature, threshold and gate, chosen on patients of the training side that the network did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from brain_tumor_training.fitting.prediction import PatientLogits
from brain_tumor_training.fitting.validation import counts_of
from brain_tumor_training.metrics.overlap import count_slices, volumetric_dice
from brain_tumor_training.metrics.reliability import Reliability, reliability
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.preprocessing import NEIGHBOUR_DISTANCE_MM, NOMINAL_SPACING_MM
from BrainTumorSegLib.engine.inference.slice_scores import between_slices, highest_nearby
from BrainTumorSegLib.engine.measurement.mask import label_components
from BrainTumorSegLib.engine.models.bundle import Recommendation

ALLOWED_LOSS = 0.001
"""Share of the tumour's pixels that the gate may leave out: what it costs stays far below 0.002 Dice."""

_TEMPERATURES = (0.2, 5.0)
_THRESHOLDS = np.arange(0.2, 0.81, 0.05)
_MIN_VOLUMES_ML = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Never more than 1 mL: the data hold hardly a smaller tumour, so they can't tell what dropping one would cost."""
_VOXEL_ML = NOMINAL_SPACING_MM**2 * NEIGHBOUR_DISTANCE_MM / 1000
"""The training slices have no spacing: this is the engine's idea of it."""
_WORTH_A_LARGER_VOLUME = 0.0005
_WORTH_ANOTHER_THRESHOLD = 0.001
_NEUTRAL_THRESHOLD = 0.5
_MOST_VALUES = 2_000_000


@dataclass(frozen=True)
class ProbabilityFit:
    """How well probabilities fit the truth: mean negative log-likelihood in nats, and reliability."""

    log_loss: float
    reliability: Reliability

    @classmethod
    def of(
        cls, logits: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.bool_], temperature: float
    ) -> ProbabilityFit:
        """Of logits divided by a temperature."""
        probability = expit(logits.astype(np.float64) / temperature)
        return cls(_negative_log_likelihood(logits, truth, temperature), reliability(probability, truth))


@dataclass(frozen=True)
class Calibration:
    """What was chosen, on how many patients, and what it changed."""

    recommendation: Recommendation
    before: ProbabilityFit
    after: ProbabilityFit
    patients: int


def calibrate(patients: Sequence[PatientLogits]) -> Calibration:
    """Chooses what a bundle recommends.

    For a segmentation (logits [S, H, W]) temperature, threshold and smallest volume; for a classifier (logits [S])
    temperature and gate, of logits taken between slices as the pipeline does.
    Raises InputError without patients or tumour.
    """
    if not patients or not any(one.mask.any() for one in patients):
        raise InputError(
            "There is nothing to calibrate on.",
            "Train with a recipe that has a part 'validation': its patients are held in for this.",
        )
    classifies = patients[0].logits.ndim == 1
    if classifies:
        patients = [replace(one, logits=between_slices(one.logits, one.neighbour_step)) for one in patients]
    logits = np.concatenate([one.logits.ravel() for one in patients])
    targets = [one.mask.any(axis=(1, 2)) if classifies else one.mask.ravel() for one in patients]
    truth = np.concatenate(targets)
    step = max(1, len(logits) // _MOST_VALUES)
    logits, truth = logits[::step], truth[::step]
    temperature = fit_temperature(logits, truth)
    if classifies:
        recommendation = Recommendation(temperature, gate=choose_gate(patients, temperature))
    else:
        threshold = choose_threshold(patients, temperature)
        smallest = choose_min_volume_ml(patients, float(temperature * logit(threshold)))
        recommendation = Recommendation(temperature, threshold, min_volume_ml=smallest)
    before, after = (ProbabilityFit.of(logits, truth, t) for t in (1.0, temperature))
    return Calibration(recommendation, before, after, len(patients))


def fit_temperature(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> float:
    """The divisor of the logits with the greatest likelihood (Guo et al. 2017), between 0.2 and 5."""
    found = minimize_scalar(
        lambda temperature: _negative_log_likelihood(logits, truth, temperature), bounds=_TEMPERATURES, method="bounded"
    )
    return round(float(found.x), 3)


def choose_threshold(patients: Sequence[PatientLogits], temperature: float) -> float:
    """The probability nearest to 0.5, of those from 0.2 to 0.8 in steps of 0.05 whose mean volumetric Dice is best.

    Within a thousandth of the best counts as best: that much is chance, and a threshold away from 0.5 grows or shrinks
    whatever is resampled to another grid, which a stack of slices doesn't show.
    """
    means = np.array(
        [
            np.mean([volumetric_dice(counts_of(one, float(temperature * logit(threshold)))) for one in patients])
            for threshold in _THRESHOLDS
        ]
    )
    best = _THRESHOLDS[means >= means.max() - _WORTH_ANOTHER_THRESHOLD]
    return round(float(best[np.argmin(np.abs(best - _NEUTRAL_THRESHOLD))]), 2)


def choose_min_volume_ml(patients: Sequence[PatientLogits], threshold_logit: float) -> float:
    """The volume below which pieces are dropped that gives the best mean volumetric Dice; the smallest of equals.

    A volume must gain at least half a thousandth over the next smaller one: dropping what may be a lesion has a price
    that Dice doesn't show.
    """
    best, best_dice = _MIN_VOLUMES_ML[0], -np.inf
    for volume_ml in _MIN_VOLUMES_ML:
        dice = float(np.mean([_dice_without_small_pieces(one, threshold_logit, volume_ml) for one in patients]))
        if dice >= best_dice + _WORTH_A_LARGER_VOLUME:
            best, best_dice = volume_ml, dice
    return best


def _dice_without_small_pieces(patient: PatientLogits, threshold_logit: float, volume_ml: float) -> float:
    labels, count = label_components(patient.logits > threshold_logit)
    kept = np.bincount(labels.ravel(), minlength=count + 1) * _VOXEL_ML >= volume_ml
    kept[0] = False
    return volumetric_dice(count_slices(kept[labels], patient.mask))


def choose_gate(patients: Sequence[PatientLogits], temperature: float) -> float:
    """The highest gate that leaves out at most a thousandth of the tumour's pixels, rounded down.

    Of what the pipeline's gate looks at. patients: with logits that were taken between slices already.
    """
    scores = np.concatenate(
        [highest_nearby(expit(one.logits.astype(np.float32) / temperature), one.neighbour_step) for one in patients]
    )
    pixels = np.concatenate([one.mask.sum(axis=(1, 2)) for one in patients])
    order = np.argsort(scores)
    lost = np.cumsum(pixels[order])
    first_too_many = int(np.searchsorted(lost, ALLOWED_LOSS * lost[-1], side="right"))
    return float(np.floor(1000 * min(scores[order[first_too_many]], 0.999)) / 1000)


def _negative_log_likelihood(
    logits: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.bool_], temperature: float
) -> float:
    scaled = logits.astype(np.float64) / temperature
    return float(np.mean(np.logaddexp(0.0, np.where(truth, -scaled, scaled))))
