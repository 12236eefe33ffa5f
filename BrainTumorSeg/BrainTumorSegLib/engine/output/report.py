"""The report of a run as plain data: everything needed to trace and review it, and nothing that is not finite.

``report_schema()`` is its contract: ``report_schema.json`` beside this file.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.errors import DefectError, InputError
from BrainTumorSegLib.engine.measurement.lesions import SliceMeasure, find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.result import Lesion, Result, SliceScore, summarise, summary_of
from BrainTumorSegLib.engine.measurement.review_order import ReviewNeed, review_order
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Motion, Source

SCHEMA_VERSION = 1
DISCLAIMER = (
    "Not a medical device. Made by an automatic method for research; a qualified person must check it slice by slice "
    "before any use."
)
_PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK")


def build_report(result: Result) -> dict[str, Any]:
    """The report as a JSON object, valid by ``report_schema()``.

    Millimetres and millilitres to three decimals, probabilities to four, seconds to four; the grid in full precision.
    Slice indices count from 0, inferior first. Raises BrainTumorSegError for a number that is not finite.
    """
    return {
        "schema": SCHEMA_VERSION,
        "summary": summarise(result),
        "disclaimer": DISCLAIMER,
        "volume_ml": _rounded(result.volume_ml, 3),
        "lesions": [_lesion(lesion) for lesion in result.lesions],
        "slices": [_slice(score) for score in result.slices],
        "review": [_need(need) for need in result.review],
        "warnings": list(result.warnings),
        "remedies": [each.value for each in result.study.remedies],
        "motions": {name: _motion(result.study.motions.get(name)) for name in ("t1", "t1c")},
        "inputs": {name: _source(result.study.sources.get(name)) for name in ("flair", "t1", "t1c")},
        "geometry": {
            "size_ijk": list(result.geometry.size_ijk),
            "spacing_mm": list(result.geometry.spacing_mm),
            "origin_lps": list(result.geometry.origin_lps),
            "direction_lps": list(result.geometry.direction_lps),
        },
        "models": {
            "segmentation": _model(result.segmentation_model),
            "classifier": None if result.classifier_model is None else _model(result.classifier_model),
        },
        "settings": result.settings.by_name(),
        "device": result.device,
        "precision": result.precision,
        "software": _software(),
        "timings_s": {stage: _rounded(seconds, 4) for stage, seconds in result.timings_s.items()},
    }


def remeasured(
    report: Mapping[str, Any],
    mask: npt.NDArray[np.bool_],
    geometry: Geometry,
    probability: npt.NDArray[np.float32] | None = None,
) -> dict[str, Any]:
    """A report with everything that follows from the mask measured again, the rest as it was.

    mask: bool [K, J, I] on ``geometry``, as somebody may have corrected it. probability: float32 [K, J, I], 0-1, of the
    run; without it nothing is known about the outline of a slice that was changed, and its doubtful area is 0. Raises
    InputError where the report is of a study with other slices.
    """
    lesions = find_lesions(mask, geometry)
    measures = slice_measures(mask, np.zeros(mask.shape, np.float32) if probability is None else probability, geometry)
    if len(measures) != len(report["slices"]):
        raise InputError(
            f"FLAIR has {len(measures)} slices, but the report is of {len(report['slices'])}.",
            "Give the report of the run that made the segmentation.",
        )
    volume_ml = float(mask.sum()) * geometry.voxel_volume_ml
    slices = [
        _slice_again(before, measure, has_probability=probability is not None)
        for before, measure in zip(report["slices"], measures, strict=True)
    ]
    return {
        **report,
        "summary": summary_of(lesions, volume_ml, len(measures)),
        "volume_ml": _rounded(volume_ml, 3),
        "lesions": [_lesion(lesion) for lesion in lesions],
        "slices": slices,
        "review": [_need(need) for need in review_order([SliceScore(**each) for each in slices])],
    }


def _slice_again(before: Mapping[str, Any], measure: SliceMeasure, *, has_probability: bool) -> dict[str, Any]:
    """A slice of a report with what its mask says now."""
    area_mm2, doubtful_mm2 = _rounded(measure.area_mm2, 3), _rounded(measure.doubtful_area_mm2, 3)
    if not has_probability:
        doubtful_mm2 = before["doubtful_area_mm2"] if area_mm2 == before["area_mm2"] else 0.0
    now = {"area_mm2": area_mm2, "doubtful_area_mm2": doubtful_mm2, "reaches_edge": measure.reaches_edge}
    return {**before, **now}


def report_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the report."""
    text = resources.files("BrainTumorSegLib.engine.output").joinpath("report_schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _lesion(lesion: Lesion) -> dict[str, Any]:
    return {
        "id": lesion.id,
        "volume_ml": _rounded(lesion.volume_ml, 3),
        "longest_diameter_mm": _rounded(lesion.longest_diameter_mm, 3),
        "axial_diameters_mm": [_rounded(length, 3) for length in lesion.axial_diameters_mm],
        "centroid_ras": [_rounded(coordinate, 3) for coordinate in lesion.centroid_ras],
        "slices": list(lesion.slices),
    }


def _slice(score: SliceScore) -> dict[str, Any]:
    return {
        "index": score.index,
        "position_mm": _rounded(score.position_mm, 3),
        "tumour_probability": _rounded(score.tumour_probability, 4),
        "segmented": score.segmented,
        "area_mm2": _rounded(score.area_mm2, 3),
        "mean_uncertainty": _rounded(score.mean_uncertainty, 4),
        "doubtful_area_mm2": _rounded(score.doubtful_area_mm2, 3),
        "reaches_edge": score.reaches_edge,
    }


def _need(need: ReviewNeed) -> dict[str, Any]:
    return {
        "index": need.index,
        "need_mm2": _rounded(need.need_mm2, 3),
        "reason": need.reason.value,
        "sentence": need.sentence,
    }


def _source(source: Source | None) -> dict[str, Any] | None:
    return None if source is None else {"path": str(source.path), "series_uid": source.series_uid}


def _motion(motion: Motion | None) -> dict[str, Any] | None:
    if motion is None:
        return None
    return {
        "flair_to_sequence_lps": list(motion.flair_to_sequence_lps),
        "shift_mm": _rounded(motion.shift_mm, 3),
        "angle_degrees": _rounded(motion.angle_degrees, 3),
    }


def _model(model: ModelProvenance) -> dict[str, str]:
    return {"name": model.name, "version": model.version, "sha256": model.sha256, "licence": model.licence}


def _software() -> dict[str, Any]:
    return {
        "braintumorseg": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _rounded(value: float, decimals: int) -> float:
    """A finite float without a negative zero."""
    if not math.isfinite(value):
        raise DefectError(f"A measure of the result is {value}.", "This is a defect; please report it.")
    return round(float(value), decimals) + 0.0
