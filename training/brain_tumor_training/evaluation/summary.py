"""The outcomes of many patients in figures, every metric by its full name, with intervals over patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.metrics import overlap
from brain_tumor_training.metrics.bootstrap import Estimate, patient_bootstrap
from brain_tumor_training.metrics.reliability import pooled, reliability
from brain_tumor_training.metrics.slice_classification import (
    ScoredSlices,
    classifier_metrics,
    operating_point,
    roc_auc,
    sensitivity_at_specificity,
)

DEFAULT_SLICE_THRESHOLD = 0.5
_SLICE_RESAMPLES = 500


def summarise(
    outcomes: Sequence[PatientOutcome], seed: int, ungated: Sequence[PatientOutcome] | None = None
) -> dict[str, Any]:
    """Every metric; intervals are 95 %, over patients drawn with replacement.

    ungated: the same patients with the gate off. It tells what the gate costs, and gives the segmentation's own
    maximum probability of each slice, the baseline for the classifier (slices that a gate leaves out have none).
    """
    counts = [outcome.counts for outcome in outcomes]
    without_gate = ungated if ungated is not None else outcomes
    return {
        "patients": len(outcomes),
        "slices": int(sum(len(one.with_tumour) for one in counts)),
        "tumour_slices": int(sum(one.with_tumour.sum() for one in counts)),
        "volumetric_dice": _volumetric_dice(outcomes, seed),
        **{
            name: patient_bootstrap(counts, metric, seed, _SLICE_RESAMPLES)
            for name, metric in overlap.SLICE_METRICS.items()
        },
        "false_positive_volume_ml_on_tumour_free_slices": patient_bootstrap(
            [outcome.false_positive_volume_ml for outcome in outcomes], _mean, seed
        ),
        "surface_distance": _surface(outcomes),
        "slice_classifier": _classifier(outcomes, seed),
        "maximum_probability": _baseline(without_gate, seed) if all(one.gate == 0 for one in without_gate) else None,
        "gate_cost": None if ungated is None else _gate_cost(outcomes, ungated, seed),
        "seconds_per_study": _mean([outcome.seconds for outcome in outcomes]),
    }


def reliability_of(outcomes: Sequence[PatientOutcome]) -> dict[str, Any]:
    """How far probabilities are from frequencies: of the segmentation's voxels, and of the classifier's slices."""
    voxels = [one.voxels for one in outcomes if one.voxels is not None]
    slices = [
        reliability(one.classifier_scores, one.counts.with_tumour)
        for one in outcomes
        if one.classifier_scores is not None
    ]
    return {name: pooled(parts).plain() for name, parts in (("voxels", voxels), ("slices", slices)) if parts}


def _volumetric_dice(outcomes: Sequence[PatientOutcome], seed: int) -> dict[str, Any]:
    values = [outcome.volumetric_dice for outcome in outcomes]
    worst = sorted(values)[: max(1, round(len(values) / 10))]
    return {
        "mean": patient_bootstrap(values, _mean, seed),
        "median": patient_bootstrap(values, lambda some: float(np.median(some)), seed),
        "worst_decile": float(np.percentile(values, 10)),
        "mean_of_worst_tenth": _mean(worst),
        "minimum": worst[0],
    }


def _surface(outcomes: Sequence[PatientOutcome]) -> dict[str, float] | None:
    """Medians; None where no study has real spacing."""
    known = [outcome.surface for outcome in outcomes if outcome.surface is not None]
    if not known:
        return None
    return {
        "median_hd95_mm": float(np.median([one.hd95_mm for one in known])),
        "median_nsd_2mm": float(np.median([one.nsd_2mm for one in known])),
    }


def _classifier(outcomes: Sequence[PatientOutcome], seed: int) -> dict[str, Any] | None:
    scored = [
        ScoredSlices(one.classifier_scores, one.counts.with_tumour, one.gate)
        for one in outcomes
        if one.classifier_scores is not None
    ]
    if not scored or math.isnan(roc_auc(scored)):
        return None
    return classifier_metrics(scored, [DEFAULT_SLICE_THRESHOLD], seed)


def _baseline(outcomes: Sequence[PatientOutcome], seed: int) -> dict[str, Any]:
    """The segmentation's maximum probability as a slice classifier, and by how much the classifier's AUC is higher."""
    scored = [ScoredSlices(one.maximum_probability, one.counts.with_tumour) for one in outcomes]
    pairs = [
        (ScoredSlices(one.classifier_scores, base.with_tumour), base)
        for one, base in zip(outcomes, scored, strict=True)
        if one.classifier_scores is not None
    ]
    if math.isnan(roc_auc(scored)):
        return {"roc_auc": Estimate(math.nan, math.nan, math.nan)}
    return {
        "roc_auc": patient_bootstrap(scored, roc_auc, seed),
        "at_specificity_0.9": operating_point(scored),
        "sensitivity_at_specificity_0.9": patient_bootstrap(scored, sensitivity_at_specificity, seed, _SLICE_RESAMPLES),
        "classifier_roc_auc_minus_this": patient_bootstrap(pairs, _auc_difference, seed) if pairs else None,
    }


def _auc_difference(pairs: Sequence[tuple[ScoredSlices, ScoredSlices]]) -> float:
    return roc_auc([one for one, _ in pairs]) - roc_auc([base for _, base in pairs])


def _gate_cost(outcomes: Sequence[PatientOutcome], ungated: Sequence[PatientOutcome], seed: int) -> dict[str, Any]:
    """By how much the gate lowers volumetric Dice, patient by patient, and what it saves."""
    costs = dice_losses(outcomes, ungated)
    slices = sum(len(one.counts.with_tumour) for one in outcomes)
    return {
        "mean_volumetric_dice_gate_off": _mean([one.volumetric_dice for one in ungated]),
        "mean_volumetric_dice_lost": patient_bootstrap(costs, _mean, seed),
        "most_volumetric_dice_lost": max(costs),
        "slices_left_out": 1 - sum(one.slices_segmented for one in outcomes) / slices,
        "seconds_per_study_gate_off": _mean([one.seconds for one in ungated]),
    }


def dice_losses(outcomes: Sequence[PatientOutcome], references: Sequence[PatientOutcome]) -> list[float]:
    """Volumetric Dice of each patient in ``references`` less that in ``outcomes``, in one order."""
    known = {one.name: one.volumetric_dice for one in references}
    return [known[one.name] - one.volumetric_dice for one in outcomes]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
