"""The pictures in a bundle's docs: how reliable its probabilities are, and how it does on held-out patients."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain_tumor_training.calibration.run_calibration import CALIBRATION
from brain_tumor_training.metrics import charts
from BrainTumorSegLib.engine.networks.registry import Task

CALIBRATION_PLOT, METRICS_PLOT = "calibration.png", "metrics.png"

_MEASURED = {Task.SEGMENTATION: "voxels", Task.CLASSIFICATION: "slices"}
_DICE = {
    "volumetric": ("volumetric_dice", "mean"),
    "volumetric,\nmedian": ("volumetric_dice", "median"),
    "tumour\nslices": ("tumour_slice_dice",),
    "all slices,\nempty = 1": ("all_slice_dice",),
    "pooled\npixels": ("pooled_pixel_dice",),
}
_CLASSIFIER = {
    "ROC AUC": ("roc_auc",),
    "sensitivity at\nspecificity 0.9": ("sensitivity_at_specificity_0.9",),
    "accuracy\nat 0.5": ("at_threshold", "0.5", "accuracy"),
    "sensitivity\nat 0.5": ("at_threshold", "0.5", "sensitivity"),
    "specificity\nat 0.5": ("at_threshold", "0.5", "specificity"),
}


def bundle_plots(run: Path, evaluation: Path | None, task: Task) -> dict[str, bytes]:
    """PNG by file name, from numbers alone; what was not measured is not drawn.

    run: its calibration.json gives the reliability before and after calibration. evaluation: metrics.json, with
    per_patient.csv beside it, of held-out patients.
    """
    measured = json.loads(evaluation.read_text()) if evaluation is not None else {}
    drawn = {CALIBRATION_PLOT: _calibration(run, measured, task), METRICS_PLOT: _metrics(evaluation, measured, task)}
    return {name: content for name, content in drawn.items() if content is not None}


def _calibration(run: Path, measured: Mapping[str, Any], task: Task) -> bytes | None:
    path = run / CALIBRATION
    found = json.loads(path.read_text())["reliability"] if path.is_file() else {}
    lines = {f"{when} calibration, patients kept for it": found[when] for when in ("before", "after") if when in found}
    held_out = measured.get("reliability", {}).get(_MEASURED[task])
    if held_out is not None:
        lines["evaluated patients"] = held_out
    series = {_labelled(name, one): one["points"] for name, one in lines.items()}
    return charts.reliability_diagram(series, f"Calibration by {_MEASURED[task]}") if series else None


def _labelled(name: str, found: Mapping[str, Any]) -> str:
    return f"{name} (ECE {found['expected_calibration_error']:.4f})"


def _metrics(evaluation: Path | None, measured: Mapping[str, Any], task: Task) -> bytes | None:
    if evaluation is None:
        return None
    metrics = measured["metrics"]
    if task is Task.CLASSIFICATION:
        metrics = metrics["slice_classifier"]
        return None if metrics is None else charts.estimates(_found(metrics, _CLASSIFIER), {}, "Slice classifier")
    with (evaluation.parent / "per_patient.csv").open(newline="") as file:
        dice = [float(row["volumetric_dice"]) for row in csv.DictReader(file)]
    return charts.estimates(_found(metrics, _DICE), {"volumetric": dice}, f"Dice, {metrics['patients']} patients")


def _found(metrics: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]) -> dict[str, Mapping[str, float]]:
    found = {}
    for name, path in paths.items():
        value: Any = metrics
        for part in path:
            value = value[part]
        found[name] = value
    return found
