"""An evaluation as a Markdown page for people: headline, classifier, gate, subgroups, worst patients, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.metrics.bootstrap import Estimate
from brain_tumor_training.metrics.overlap import SLICE_METRICS

_WORST = 10


def evaluation_page(
    summary: Mapping[str, Any], groups: Mapping[str, Any], outcomes: Sequence[PatientOutcome], about: Mapping[str, Any]
) -> str:
    """Intervals are 95 %, over patients (bootstrap). groups: of ``subgroups``."""
    parts = [
        _headline(summary, about),
        _classifier(summary),
        _gate(summary),
        _subgroups(groups),
        _worst(outcomes),
        _calibration(about.get("calibration") or {}),
    ]
    return "\n".join(line for part in parts for line in (*part, "")).rstrip() + "\n"


def _headline(summary: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    yield "# Evaluation\n"
    told = ", ".join(
        f"{name}: {value}" for name, value in about.items() if name != "calibration" and value not in (None, [])
    )
    slices = f"{summary['slices']} slices, {summary['tumour_slices']} with tumour"
    yield f"{summary['patients']} patients, {slices}. {told}.\n"
    yield "| measure | value | 95 % interval over patients |"
    yield "|---|---|---|"
    dice = summary["volumetric_dice"]
    yield _row("volumetric Dice per patient, mean", dice["mean"])
    yield _row("volumetric Dice per patient, median", dice["median"])
    yield _row("volumetric Dice, 10th percentile", dice["worst_decile"])
    yield _row("volumetric Dice, mean of the worst tenth", dice["mean_of_worst_tenth"])
    yield _row("volumetric Dice, worst patient", dice["minimum"])
    for name in SLICE_METRICS:
        yield _row(name.replace("_", " "), summary[name])
    name = "false_positive_volume_ml_on_tumour_free_slices"
    yield _row("false-positive volume on tumour-free slices, mL per patient", summary[name])
    for name, value in (summary["surface_distance"] or {}).items():
        yield _row(name.replace("_", " "), value)
    yield _row("seconds per study", summary["seconds_per_study"])


def _classifier(summary: Mapping[str, Any]) -> Iterator[str]:
    found, baseline = summary["slice_classifier"] or {}, summary["maximum_probability"] or {}
    yield "## Which slices hold tumour\n"
    yield "| measure | slice classifier | maximum segmentation probability |"
    yield "|---|---|---|"
    for name, key in (("ROC AUC", "roc_auc"), ("sensitivity at specificity 0.90", "sensitivity_at_specificity_0.9")):
        yield f"| {name} | {_text(found.get(key))} | {_text(baseline.get(key))} |"
    yield f"| classifier's AUC less the other's | {_text(baseline.get('classifier_roc_auc_minus_this'))} | |"
    for title, at in (("threshold 0.5", found.get("at_threshold", {}).get("0.5")), ("gate", found.get("at_gate"))):
        if at is not None:
            for name in ("accuracy", "sensitivity", "specificity", "precision", "f1"):
                yield f"| {name} at the {title} | {_text(at[name])} | |"


def _gate(summary: Mapping[str, Any]) -> Iterator[str]:
    cost = summary["gate_cost"]
    if cost is None:
        return
    yield "## What the gate costs\n"
    yield "| measure | value | 95 % interval over patients |"
    yield "|---|---|---|"
    for name, value in cost.items():
        yield _row(name.replace("_", " "), value)


def _subgroups(groups: Mapping[str, Any]) -> Iterator[str]:
    yield "## Subgroups, volumetric Dice\n"
    yield "| group | patients | mean | median | worst |"
    yield "|---|---|---|---|---|"
    for name, group in groups.items():
        values = " | ".join(f"{group[part]:.4f}" for part in ("mean", "median", "minimum"))
        yield f"| {name} | {group['patients']} | {values} |"


def _worst(outcomes: Sequence[PatientOutcome]) -> Iterator[str]:
    yield f"## The {_WORST} worst patients\n"
    yield "| patient | volumetric Dice | reference, mL | found, mL |"
    yield "|---|---|---|---|"
    for one in sorted(outcomes, key=lambda outcome: outcome.volumetric_dice)[:_WORST]:
        reference, found = (
            voxels * one.voxel_volume_ml for voxels in (one.counts.reference_voxels, one.counts.predicted_voxels)
        )
        yield f"| {one.name} | {one.volumetric_dice:.4f} | {reference:.1f} | {found:.1f} |"


def _calibration(by_fold: Mapping[str, Any]) -> Iterator[str]:
    """What was chosen for the models of each fold, and on whom."""
    if not by_fold:
        return
    yield "## What was chosen for each fold\n"
    yield "| fold | model | temperature | threshold | gate | smallest lesion, mL | chosen on |"
    yield "|---|---|---|---|---|---|---|"
    for fold, kinds in by_fold.items():
        for kind, one in kinds.items():
            yield f"| {fold} | {kind} | {' | '.join(_chosen(kind, one))} |"


def _chosen(kind: str, one: Mapping[str, Any] | None) -> list[str]:
    if one is None:
        return ["–", "–", "–", "–", "not calibrated"]
    found = one["recommendation"]
    gate, smallest = f"{found['gate']:.3f}", f"{found['min_volume_ml']:g}"
    of_kind = ["–", gate, "–"] if kind == "classifier" else [f"{found['threshold']:g}", "–", smallest]
    return [f"{found['temperature']:.3f}", *of_kind, f"{one['chosen_on']} ({one['patients']})"]


def _row(name: str, value: Any) -> str:
    if isinstance(value, Estimate):
        return f"| {name} | {value.value:.4f} | {value.low:.4f}-{value.high:.4f} |"
    return f"| {name} | {value:.4f} | |"


def _text(value: Any) -> str:
    return "–" if value is None else f"{value.value:.4f} [{value.low:.4f}, {value.high:.4f}]"
