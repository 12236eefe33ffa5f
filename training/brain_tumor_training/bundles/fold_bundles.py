"""The models of a cross-validation's own runs: one per fold, each for its held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain_tumor_training.bundles.export import ExportRequest, export_run
from brain_tumor_training.calibration.fold_calibration import calibrate_on_other_folds
from brain_tumor_training.calibration.run_calibration import calibrate_run, calibration_of
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError

SEGMENTATION, CLASSIFIER = "segmentation", "classifier"
_PLACE = "{fold}"


@dataclass(frozen=True)
class FoldRuns:
    """Where the finished runs of each fold are: paths in which {fold} stands for its number.

    classifier: None for models without a slice classifier. cache: of the data, for calibration; None where every run
    is calibrated, or none is to be.
    """

    segmentation: str
    classifier: str | None = None
    cache: Path | None = None
    device: str = "auto"

    def releases(self, held_out: Mapping[int, Sequence[str]], folder: Path) -> dict[int, Path]:
        """Calibrates and exports the models of every fold into folder/fold-K; held_out: each fold's patients.

        Runs that kept patients aside for validation are calibrated on those; the others of a cross-validation on what
        the other folds' models say about their held-out patients, all of whom are training patients of this
        fold. Raises InputError for a run that was trained on a patient whom it is to be measured on.
        """
        patterns = {CLASSIFIER: self.classifier, SEGMENTATION: self.segmentation}
        releases = {fold: folder / f"fold-{fold}" for fold in held_out}
        for kind, pattern in patterns.items():
            if pattern is None:
                continue
            runs = {fold: _run_of(pattern, fold, names, len(held_out)) for fold, names in held_out.items()}
            self._calibrate(runs, held_out)
            companion = CLASSIFIER if kind == SEGMENTATION and self.classifier is not None else None
            for fold, run in runs.items():
                request = ExportRequest(kind, "0.0.1", f"fold {fold}", "Made to evaluate a fold.", classifier=companion)
                export_run(run, request, releases[fold])
        return releases

    def calibration(self, fold: int) -> dict[str, Any]:
        """By kind of model, what was chosen for it and on whom; None where it is not calibrated."""
        patterns = {CLASSIFIER: self.classifier, SEGMENTATION: self.segmentation}
        return {
            kind: calibration_of(run_of_fold(pattern, fold))
            for kind, pattern in patterns.items()
            if pattern is not None
        }

    def _calibrate(self, runs: Mapping[int, Path], held_out: Mapping[int, Sequence[str]]) -> None:
        if self.cache is None or all(calibration_of(run) for run in runs.values()):
            return
        if all(RunFolder(run).split().validation for run in runs.values()):
            for run in runs.values():
                calibrate_run(run, self.cache, self.device)
        elif len(runs) > 1:
            calibrate_on_other_folds(runs, held_out, self.cache, self.device)


def _run_of(pattern: str, fold: int, names: Sequence[str], folds: int) -> Path:
    if _PLACE not in pattern and folds > 1:
        raise InputError(f"'{pattern}' names one run for {folds} folds.", f"Put {_PLACE} where the fold's number is.")
    return unseeing_run_of_fold(pattern, fold, names)


def unseeing_run_of_fold(pattern: str, fold: int, names: Sequence[str]) -> Path:
    """The run of a fold. Raises InputError if it was trained on one of these patients, on whom it is to be measured."""
    path = run_of_fold(pattern, fold)
    split = RunFolder(path).split()
    trained_on = sorted({*split.training, *split.validation} & set(names))
    if trained_on:
        raise InputError(
            f"The run {path} was trained on {len(trained_on)} patients of fold {fold}, such as {trained_on[0]}.",
            "Give the run that was trained with this fold held out.",
        )
    return path


def run_of_fold(pattern: str, fold: int) -> Path:
    """The folder that a pattern names for a fold."""
    return Path(pattern.replace(_PLACE, str(fold)))
