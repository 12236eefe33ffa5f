"""From a cross-validation to the models that are released: trained on all patients, with the figures of the folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brain_tumor_training.bundles.export import ExportRequest, export_run, metrics_of
from brain_tumor_training.bundles.fold_bundles import run_of_fold
from brain_tumor_training.bundles.plots import bundle_plots
from brain_tumor_training.calibration.fold_calibration import calibrate_on_all_folds
from brain_tumor_training.calibration.run_calibration import calibration_of
from brain_tumor_training.data.cache import cached_names
from brain_tumor_training.data.folds import read_folds, split_patients
from brain_tumor_training.fitting.trainer import Progress
from brain_tumor_training.releasing.cross_validation import FoldTraining
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.networks.registry import NETWORKS


@dataclass(frozen=True)
class ReleaseRequest:
    """What the models are called, and where they go. folder: of bundles and index.json. The classifier is NAME-slices.

    evaluation: metrics.json of the cross-validation, whose figures the bundles carry.
    """

    name: str
    version: str
    title: str
    description: str
    folder: Path
    evaluation: Path

    @property
    def classifier(self) -> str:
        """The slice classifier's name."""
        return f"{self.name}-slices"


def make_release(
    training: FoldTraining,
    request: ReleaseRequest,
    on_progress: Progress = lambda _done, _all, _loss: None,
) -> list[Path]:
    """Trains on all patients what the folds were trained on, calibrates it on the folds' held-out patients, exports it.

    Returns the bundles, the slice classifier's first where there is one. Finished runs of the folds and of all patients
    are taken as they are. Raises InputError where the cross-validation was not measured.
    """
    metrics_of(request.evaluation)
    folds, models = training.run(on_progress), training.run_on_all(on_progress)
    written = []
    if models.classifier is not None and folds.classifier is not None:
        _calibrate(training, models.classifier, folds.classifier)
        title = f"Slice classifier of {request.title}"
        described = "Tells for each axial slice whether it holds tumour. " + request.description
        written.append(_export(training, models.classifier, request, (request.classifier, title, described), None))
    _calibrate(training, models.segmentation, folds.segmentation)
    companion = None if models.classifier is None else request.classifier
    about = (request.name, request.title, request.description)
    written.append(_export(training, models.segmentation, request, about, companion))
    return written


def _calibrate(training: FoldTraining, run: Path, pattern: str) -> None:
    if calibration_of(run) is not None:
        return
    base, folds = training.base, read_folds(training.folds)
    names = cached_names(base.cache)
    runs = {fold: run_of_fold(pattern, fold) for fold in training.fold_numbers}
    held_out = {fold: split_patients(names, folds, fold)[1] for fold in runs}
    calibrate_on_all_folds(run, runs, held_out, base.cache, base.device)


def _export(
    training: FoldTraining, run: Path, request: ReleaseRequest, about: tuple[str, str, str], companion: str | None
) -> Path:
    name, title, description = about
    metrics = metrics_of(request.evaluation)
    measured = (
        f"Measured by the shipped program on {metrics['patients']:.0f} patients in {len(training.fold_numbers)} folds, "
        "each held out from the models that measured it, which have the same recipes; these weights are trained on all "
        "of them and can't be measured on them"
    )
    export = ExportRequest(
        name=name,
        version=request.version,
        title=title,
        description=description,
        classifier=companion,
        metrics=metrics,
        measured=measured,
        plots=bundle_plots(run, request.evaluation, NETWORKS[RunFolder(run).settings().network].task),
    )
    return export_run(run, export, request.folder)
