"""From a finished run to a bundle in a release folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brain_tumor_training.bundles.bundle import export_bundle
from brain_tumor_training.bundles.description import MEASURED, BundleDescription
from brain_tumor_training.bundles.index import update_index
from brain_tumor_training.calibration.run_calibration import recommendation_of, used_size_px
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.bundle import Recommendation

_LEAKY_NOTE = " Trained on random slices: its figures say nothing about new patients."


@dataclass(frozen=True)
class ExportRequest:
    """How a run is to be published. recommendation: what replaces calibration's choices. metrics: see metrics_of.

    measured: how the metrics came about. plots: pictures for the model card, see bundle_plots.
    """

    name: str
    version: str
    title: str
    description: str
    classifier: str | None = None
    recommendation: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    measured: str = MEASURED
    plots: Mapping[str, bytes] = field(default_factory=dict)


def export_run(folder: Path, request: ExportRequest, release: Path) -> Path:
    """Writes the run's bundle into ``release`` and lists it in the index. Raises InputError for an unfinished run."""
    run = RunFolder(folder)
    weights = run.finished_weights()
    settings, split = run.settings(), run.split()
    leaky = settings.split.protocol != "patients"
    description = BundleDescription(
        name=request.name,
        version=request.version,
        title=request.title,
        description=request.description + (_LEAKY_NOTE if leaky else ""),
        network=settings.network,
        arguments=settings.arguments,
        channels=tuple(settings.channels),
        init=settings.init,
        patients=len({*split.training, *split.validation}),
        recommendation=Recommendation(**{**recommendation_of(folder), **request.recommendation}),
        metrics=request.metrics,
        measured=request.measured,
        classifier=request.classifier,
        size_px=used_size_px(settings),
        plots=request.plots,
    )
    path = export_bundle(description, weights, release)
    update_index(release, description)
    return path


def metrics_of(evaluation: Path) -> dict[str, float]:
    """The headline of an evaluation's metrics.json, by full names, for an index and a model card.

    Raises InputError if there is none.
    """
    if not evaluation.is_file():
        raise InputError(f"{evaluation} does not exist.", "Run `braintumorseg-train evaluate` first.")
    found = json.loads(evaluation.read_text())["metrics"]
    headline: dict[str, Any] = {
        "patients": found["patients"],
        "volumetric_dice_mean": found["volumetric_dice"]["mean"]["value"],
        "volumetric_dice_median": found["volumetric_dice"]["median"]["value"],
        "tumour_slice_dice": found["tumour_slice_dice"]["value"],
    }
    if found["slice_classifier"] is not None:
        headline["slice_roc_auc"] = found["slice_classifier"]["roc_auc"]["value"]
    return {name: round(value, 4) for name, value in headline.items()}
