"""Temperature, threshold and gate, chosen on patients of the training side that the network did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from brain_tumor_training.metrics import volumetric_dice
from brain_tumor_training.reliability import Reliability, reliability
from brain_tumor_training.validation import PatientLogits, counts_of
from BrainTumorSegLib.engine.bundle import Recommendation
from BrainTumorSegLib.engine.errors import InputError

ALLOWED_LOSS = 0.001
"""Share of the tumour's pixels that the gate may leave out: what it costs stays far below 0.002 Dice."""

_TEMPERATURES = (0.2, 5.0)
_THRESHOLDS = np.arange(0.2, 0.81, 0.05)
_MOST_VALUES = 2_000_000


@dataclass(frozen=True)
class Fit:
    """How well probabilities fit the truth: mean negative log-likelihood in nats, and reliability."""

    log_loss: float
    reliability: Reliability

    @classmethod
    def of(cls, logits: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.bool_], temperature: float) -> Fit:
        """Of logits divided by a temperature."""
        probability = expit(logits.astype(np.float64) / temperature)
        return cls(_negative_log_likelihood(logits, truth, temperature), reliability(probability, truth))


@dataclass(frozen=True)
class Calibration:
    """What was chosen, on how many patients, and what it changed."""

    recommendation: Recommendation
    before: Fit
    after: Fit
    patients: int


def calibrate(patients: Sequence[PatientLogits]) -> Calibration:
    """Chooses for a segmentation (logits [S, H, W]: temperature, threshold) or a classifier ([S]: temperature, gate).

    Raises InputError without patients or tumour.
    """
    if not patients or not any(one.mask.any() for one in patients):
        raise InputError(
            "There is nothing to calibrate on.",
            "Train with a recipe that has a part 'validation': its patients are held in for this.",
        )
    classifies = patients[0].logits.ndim == 1
    logits = np.concatenate([one.logits.ravel() for one in patients])
    targets = [one.mask.any(axis=(1, 2)) if classifies else one.mask.ravel() for one in patients]
    truth = np.concatenate(targets)
    step = max(1, len(logits) // _MOST_VALUES)
    logits, truth = logits[::step], truth[::step]
    temperature = fit_temperature(logits, truth)
    if classifies:
        recommendation = Recommendation(temperature, gate=choose_gate(patients, temperature))
    else:
        recommendation = Recommendation(temperature, choose_threshold(patients, temperature))
    before, after = (Fit.of(logits, truth, t) for t in (1.0, temperature))
    return Calibration(recommendation, before, after, len(patients))


def fit_temperature(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> float:
    """The divisor of the logits with the greatest likelihood (Guo et al. 2017), between 0.2 and 5."""
    found = minimize_scalar(
        lambda temperature: _negative_log_likelihood(logits, truth, temperature), bounds=_TEMPERATURES, method="bounded"
    )
    return round(float(found.x), 3)


def choose_threshold(patients: Sequence[PatientLogits], temperature: float) -> float:
    """The probability with the best mean volumetric Dice, of those from 0.2 to 0.8 in steps of 0.05."""
    means = [
        np.mean([volumetric_dice(counts_of(one, float(temperature * logit(threshold)))) for one in patients])
        for threshold in _THRESHOLDS
    ]
    return round(float(_THRESHOLDS[int(np.argmax(means))]), 2)


def choose_gate(patients: Sequence[PatientLogits], temperature: float) -> float:
    """The highest gate that leaves out at most a thousandth of the tumour's pixels, rounded down.

    As the pipeline does, a slice is left out only if it and both its neighbours are below the gate.
    """
    scores = np.concatenate(
        [
            ndimage.maximum_filter1d(expit(one.logits.astype(np.float64) / temperature), 3, mode="nearest")
            for one in patients
        ]
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
