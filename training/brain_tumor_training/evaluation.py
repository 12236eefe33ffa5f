"""Evaluate a model on studies with references, through the command that users run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor_training import metrics
from brain_tumor_training.bootstrap import Estimate, patient_bootstrap
from brain_tumor_training.evaluation_studies import EvaluationStudy, Source
from brain_tumor_training.metrics import SliceCounts
from brain_tumor_training.segment_command import Segmentation, SegmentCommand
from brain_tumor_training.slice_classification import ScoredSlices, classifier_metrics, roc_auc
from brain_tumor_training.surface import SurfaceDistances, surface_distances
from BrainTumorSegLib.engine.axial import AxialOrder

Progress = Callable[[int, int], None]
"""Called with (patients done, patients in all)."""

DEFAULT_SLICE_THRESHOLD = 0.5


@dataclass(frozen=True)
class PatientOutcome:
    """What was found in one patient, slice by slice, axial, inferior first.

    classifier_scores: float [S], None where the model has no slice classifier. maximum_probability: of the
    segmentation in each slice, float [S]. surface: None where the spacing is not real. sequences: those that differ
    from FLAIR.
    """

    name: str
    counts: SliceCounts
    classifier_scores: npt.NDArray[np.float64] | None
    maximum_probability: npt.NDArray[np.float64]
    voxel_volume_ml: float
    surface: SurfaceDistances | None
    report: dict[str, Any]
    seconds: float
    sequences: tuple[str, ...] = ("flair",)

    @property
    def volumetric_dice(self) -> float:
        """All slices as one mask."""
        return metrics.volumetric_dice(self.counts)

    @property
    def false_positive_volume_ml(self) -> float:
        """Predicted volume on slices that have no tumour by the reference."""
        return metrics.false_positive_voxels_on_tumour_free_slices(self.counts) * self.voxel_volume_ml


def evaluate(
    sources: Sequence[Source], command: SegmentCommand, on_progress: Progress = lambda _done, _all: None
) -> list[PatientOutcome]:
    """Segments every study in a process of its own and compares it with its reference.

    Raises BrainTumorSegError as soon as one can't be segmented: an evaluation without it would say something else.
    """
    outcomes = []
    for number, source in enumerate(sources):
        on_progress(number, len(sources))
        with source.open() as study:
            outcomes.append(compare(study, command.run(study.paths)))
    on_progress(len(sources), len(sources))
    return outcomes


def compare(study: EvaluationStudy, segmentation: Segmentation) -> PatientOutcome:
    """Measures one segmentation against its study's reference. Raises GeometryError if their shapes differ."""
    spacing_mm = AxialOrder.of(study.geometry).spacing_mm
    has_classifier = segmentation.report["models"]["classifier"] is not None
    scores = np.array([one["tumour_probability"] for one in segmentation.report["slices"]])
    return PatientOutcome(
        name=study.name,
        counts=metrics.count_slices(segmentation.mask, study.reference),
        classifier_scores=scores if has_classifier else None,
        maximum_probability=segmentation.probability.max(axis=(1, 2)).astype(np.float64),
        voxel_volume_ml=study.geometry.voxel_volume_ml,
        surface=surface_distances(segmentation.mask, study.reference, spacing_mm) if study.has_real_spacing else None,
        report=segmentation.report,
        seconds=segmentation.seconds,
        sequences=study.sequences,
    )


def summarise(outcomes: Sequence[PatientOutcome], seed: int) -> dict[str, Any]:
    """Every metric by its full name; intervals are 95 %, over patients drawn with replacement.

    Slice scores are those of the classifier; the segmentation's own maximum probability of a slice is the baseline,
    which a gate would spoil (slices that are left out have none), so it is there only where the gate was off.
    """
    counts = [outcome.counts for outcome in outcomes]
    gate = float(outcomes[0].report["settings"]["gate"])
    return {
        "patients": len(outcomes),
        "slices": int(sum(len(one.with_tumour) for one in counts)),
        "tumour_slices": int(sum(one.with_tumour.sum() for one in counts)),
        "volumetric_dice": _volumetric_dice(outcomes, seed),
        **{
            name: patient_bootstrap(counts, metric, seed, resamples=500)
            for name, metric in metrics.SLICE_METRICS.items()
        },
        "false_positive_volume_ml_on_tumour_free_slices": patient_bootstrap(
            [outcome.false_positive_volume_ml for outcome in outcomes], _mean, seed
        ),
        "surface_distance": _surface(outcomes),
        "slice_classifier": _classifier(outcomes, gate, seed),
        "maximum_probability_roc_auc": _baseline(outcomes, seed) if gate == 0 else None,
        "seconds_per_study": _mean([outcome.seconds for outcome in outcomes]),
    }


def _volumetric_dice(outcomes: Sequence[PatientOutcome], seed: int) -> dict[str, Any]:
    values = [outcome.volumetric_dice for outcome in outcomes]
    return {
        "mean": patient_bootstrap(values, _mean, seed),
        "median": patient_bootstrap(values, lambda some: float(np.median(some)), seed),
        "worst_decile": float(np.percentile(values, 10)),
        "minimum": min(values),
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


def _classifier(outcomes: Sequence[PatientOutcome], gate: float, seed: int) -> dict[str, Any] | None:
    scored = [
        ScoredSlices(one.classifier_scores, one.counts.with_tumour)
        for one in outcomes
        if one.classifier_scores is not None
    ]
    if not scored or math.isnan(roc_auc(scored)):
        return None
    thresholds = sorted({DEFAULT_SLICE_THRESHOLD, *([gate] if gate else [])})
    return classifier_metrics(scored, thresholds, seed)


def _baseline(outcomes: Sequence[PatientOutcome], seed: int) -> Estimate:
    scored = [ScoredSlices(one.maximum_probability, one.counts.with_tumour) for one in outcomes]
    return patient_bootstrap(scored, roc_auc, seed)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
