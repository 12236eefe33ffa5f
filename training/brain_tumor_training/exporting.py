"""From a finished run to a bundle in a release folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brain_tumor_training.bundles import MEASURED, BundleDescription, export_bundle, update_index
from brain_tumor_training.cache import load_cache
from brain_tumor_training.calibration import Calibration, calibrate
from brain_tumor_training.run_folder import RunFolder
from brain_tumor_training.settings import TrainingSettings
from brain_tumor_training.splits import pool_of
from brain_tumor_training.validation import predict
from BrainTumorSegLib.engine.bundle import Recommendation
from BrainTumorSegLib.engine.device import choose
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.preprocessing import SIZE_PX

CALIBRATION = "calibration.json"
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


def calibrate_run(folder: Path, cache: Path, device: str) -> Calibration:
    """Chooses temperature, threshold and gate on the run's validation patients and keeps them in its folder.

    Raises InputError for a run without them, or one whose validation slices come from training patients.
    """
    run = RunFolder(folder)
    settings, split = run.settings(), run.split()
    if settings.split.protocol != "patients" or not split.validation:
        raise InputError(
            f"The run {folder} kept no patients aside.",
            "Train with a recipe of protocol 'patients' that has a part 'validation'.",
        )
    compute = choose(device)
    network = build_network(settings.network, settings.arguments)
    network.load_state_dict(run.finished_weights())
    pool = pool_of(load_cache(cache, list(split.validation), used_size_px(settings)), split.validation)
    found = calibrate(list(predict(network.to(compute.device), pool, settings, compute)))
    keep_calibration(folder, found, "patients kept aside for validation")
    return found


def used_size_px(settings: TrainingSettings) -> int:
    """Side of the slices that the program gives the network: a classifier may have learned on coarser ones."""
    return settings.phases[-1].size_px if settings.task == "classification" else SIZE_PX


def keep_calibration(folder: Path, found: Calibration, patients: str) -> None:
    """Writes a run's calibration.json. patients: in words, whom it was chosen on."""
    content = {
        "recommendation": asdict(found.recommendation),
        "chosen_on": patients,
        "patients": found.patients,
        "negative_log_likelihood": {
            "before": found.before.log_loss,
            "after": found.after.log_loss,
        },
        "reliability": {"before": found.before.reliability.plain(), "after": found.after.reliability.plain()},
    }
    with atomic_path(folder / CALIBRATION) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def recommendation_of(folder: Path) -> dict[str, float]:
    """What calibration chose for a run; nothing where it was not calibrated."""
    found = calibration_of(folder)
    return {} if found is None else found["recommendation"]


def calibration_of(folder: Path) -> dict[str, Any] | None:
    """A run's calibration.json without its reliability; None where it was not calibrated."""
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    return {name: part for name, part in json.loads(path.read_text()).items() if name != "reliability"}


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
