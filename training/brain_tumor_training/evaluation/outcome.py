"""Evaluate a model on studies with references, through the program that users run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor_training.evaluation.studies import EvaluationSource, EvaluationStudy
from brain_tumor_training.metrics import overlap
from brain_tumor_training.metrics.overlap import SliceCounts
from brain_tumor_training.metrics.reliability import Reliability, reliability
from brain_tumor_training.metrics.surface import SurfaceDistances, surface_distances
from brain_tumor_training.program.outputs import Segmentation, SegmentsStudies
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.axial import AxialOrder

Progress = Callable[[int, int], None]
"""Called with (patients done, patients in all)."""


@dataclass(frozen=True)
class PatientOutcome:
    """What was found in one patient, slice by slice, axial, inferior first.

    classifier_scores: float [S], None where the model has no slice classifier. maximum_probability: of the
    segmentation in each slice, float [S]. surface: None where the spacing is not real. report: the program's own,
    without its slices and lesions. slices_segmented: those that the gate let through. sequences: those that differ
    from FLAIR. voxels: how reliable the segmentation's probabilities were.
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
    slices_segmented: int = 0
    voxels: Reliability | None = None

    @property
    def volumetric_dice(self) -> float:
        """All slices as one mask."""
        return overlap.volumetric_dice(self.counts)

    @property
    def false_positive_volume_ml(self) -> float:
        """Predicted volume on slices that have no tumour by the reference."""
        return overlap.false_positive_voxels_on_tumour_free_slices(self.counts) * self.voxel_volume_ml

    @property
    def gate(self) -> float:
        """Slice probability below which slices were left out; 0 where the gate was off."""
        return float(self.report["settings"]["gate"])


def evaluate(
    sources: Sequence[EvaluationSource],
    segmenter: SegmentsStudies,
    options: RunSettings,
    on_outcome: Callable[[PatientOutcome], None] = lambda _outcome: None,
) -> list[PatientOutcome]:
    """Segments every study and compares it with its reference.

    Raises BrainTumorSegError as soon as one can't be segmented: an evaluation without it would say something else.
    """
    outcomes = []
    for source in sources:
        with source.open() as study:
            outcomes.append(outcome_of(study, segmenter.run(study.paths, options)))
        on_outcome(outcomes[-1])
    return outcomes


def outcome_of(study: EvaluationStudy, segmentation: Segmentation) -> PatientOutcome:
    """Measures one segmentation against its study's reference. Raises GeometryError if their shapes differ."""
    spacing_mm = AxialOrder.of(study.geometry).spacing_mm
    slices = segmentation.report["slices"]
    has_classifier = segmentation.report["models"]["classifier"] is not None
    scores = np.array([one["tumour_probability"] for one in slices], np.float64) if has_classifier else None
    return PatientOutcome(
        name=study.name,
        counts=overlap.count_slices(segmentation.mask, study.reference),
        classifier_scores=scores,
        maximum_probability=segmentation.probability.max(axis=(1, 2)).astype(np.float64),
        voxel_volume_ml=study.geometry.voxel_volume_ml,
        surface=surface_distances(segmentation.mask, study.reference, spacing_mm) if study.has_real_spacing else None,
        report={name: part for name, part in segmentation.report.items() if name not in ("slices", "lesions")},
        seconds=segmentation.seconds,
        sequences=study.sequences,
        slices_segmented=sum(one["segmented"] for one in slices),
        voxels=reliability(segmentation.probability, study.reference),
    )
