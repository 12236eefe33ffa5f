"""How well slice scores tell slices with tumour from those without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import roc_curve

from brain_tumor_training.metrics.bootstrap import patient_bootstrap

WANTED_SPECIFICITY = 0.9
_RESAMPLES = 500


Confusion = tuple[int, ...]
"""Slices of one patient: true negatives, false positives, false negatives, true positives."""


@dataclass(frozen=True)
class ScoredSlices:
    """One patient's slices: scores float [S], 0-1; with_tumour bool [S], by the reference.

    gate: the threshold that was chosen for this patient's model, 0 for none.
    """

    scores: npt.NDArray[np.float64]
    with_tumour: npt.NDArray[np.bool_]
    gate: float = 0.0


def roc_auc(patients: Sequence[ScoredSlices]) -> float:
    """Area under the ROC curve over all slices of all patients; NaN if all slices are of one kind.

    By ranks (Mann-Whitney; ties count half), which a bootstrap can afford.
    """
    scores, truth = _pooled(patients)
    with_tumour = int(truth.sum())
    pairs = with_tumour * (len(truth) - with_tumour)
    if not pairs:
        return float("nan")
    return float((rankdata(scores)[truth].sum() - with_tumour * (with_tumour + 1) / 2) / pairs)


def accuracy(patients: Sequence[Confusion]) -> float:
    """Share of slices on the right side of the threshold."""
    tn, fp, fn, tp = _summed(patients)
    return _share(tp + tn, tn + fp + fn + tp)


def sensitivity(patients: Sequence[Confusion]) -> float:
    """Share of the tumour slices at or above the threshold; NaN if there are none."""
    _, _, fn, tp = _summed(patients)
    return _share(tp, tp + fn)


def specificity(patients: Sequence[Confusion]) -> float:
    """Share of the tumour-free slices below the threshold; NaN if there are none."""
    tn, fp, _, _ = _summed(patients)
    return _share(tn, tn + fp)


def precision(patients: Sequence[Confusion]) -> float:
    """Share of tumour slices among those at or above the threshold; NaN if there are none."""
    _, fp, _, tp = _summed(patients)
    return _share(tp, tp + fp)


def f1(patients: Sequence[Confusion]) -> float:
    """Harmonic mean of precision and sensitivity; NaN if there is neither tumour nor a find."""
    _, fp, fn, tp = _summed(patients)
    return _share(2 * tp, 2 * tp + fp + fn)


def operating_point(patients: Sequence[ScoredSlices]) -> dict[str, float]:
    """The best sensitivity at a specificity of at least 0.9, and the threshold that gives it."""
    scores, truth = _pooled(patients)
    false_positive_rate, true_positive_rate, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    allowed = np.flatnonzero(1 - false_positive_rate >= WANTED_SPECIFICITY)
    best = allowed[np.argmax(true_positive_rate[allowed])]
    return {
        "sensitivity": float(true_positive_rate[best]),
        "specificity": float(1 - false_positive_rate[best]),
        "threshold": float(min(thresholds[best], 1.0)),
    }


def sensitivity_at_specificity(patients: Sequence[ScoredSlices]) -> float:
    """The same sensitivity, fast enough for a bootstrap; NaN if all slices are of one kind."""
    scores, truth = _pooled(patients)
    positive, negative = scores[truth], np.sort(scores[~truth])[::-1]
    if not len(positive) or not len(negative):
        return float("nan")
    # Only scores above this one can count as tumour, or more than a tenth of the others would too.
    bar = negative[math.floor((1 - WANTED_SPECIFICITY) * len(negative) + 1e-9)]
    return float(np.mean(positive > bar))


def classifier_metrics(patients: Sequence[ScoredSlices], thresholds: Sequence[float], seed: int) -> dict[str, Any]:
    """ROC AUC, the operating point, and at each threshold everything that depends on it, with patient intervals.

    "at_gate" takes each patient's own gate, and is None where no patient has one.
    """
    return {
        "roc_auc": patient_bootstrap(patients, roc_auc, seed),
        "at_specificity_0.9": operating_point(patients),
        "sensitivity_at_specificity_0.9": patient_bootstrap(patients, sensitivity_at_specificity, seed, _RESAMPLES),
        "at_threshold": {f"{t:g}": _at([_confusion(one, t) for one in patients], seed) for t in thresholds},
        "at_gate": _at([_confusion(one, one.gate) for one in patients], seed)
        if any(p.gate for p in patients)
        else None,
    }


def _at(confusions: Sequence[Confusion], seed: int) -> dict[str, Any]:
    tn, fp, fn, tp = _summed(confusions)
    return {
        **{
            measure.__name__: patient_bootstrap(confusions, measure, seed)
            for measure in (accuracy, sensitivity, specificity, precision, f1)
        },
        "confusion": {"true_negatives": tn, "false_positives": fp, "false_negatives": fn, "true_positives": tp},
    }


def _confusion(slices: ScoredSlices, threshold: float) -> Confusion:
    found, truth = slices.scores >= threshold, slices.with_tumour
    return tuple(int(np.sum(one)) for one in (~found & ~truth, found & ~truth, ~found & truth, found & truth))


def _summed(confusions: Sequence[Confusion]) -> Confusion:
    return tuple(sum(column) for column in zip(*confusions, strict=True))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _pooled(patients: Sequence[ScoredSlices]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return np.concatenate([p.scores for p in patients]), np.concatenate([p.with_tumour for p in patients])
