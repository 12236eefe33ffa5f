"""Train and evaluate on every fold, each through the shipped command, and put the patients together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor_training.evaluation import PatientOutcome, evaluate, summarise
from brain_tumor_training.evaluation_files import write_evaluation
from brain_tumor_training.evaluation_studies import Source, data_sources
from brain_tumor_training.exporting import ExportRequest, calibrate_run, export_run
from brain_tumor_training.fit import FitRequest, fit
from brain_tumor_training.kaggle import read_folds, split
from brain_tumor_training.loop import Progress
from brain_tumor_training.segment_command import SegmentCommand
from brain_tumor_training.settings import TrainingSettings
from brain_tumor_training.staging import staged_checkout

SEGMENTATION, CLASSIFIER = "segmentation", "classifier"


@dataclass(frozen=True)
class CrossValidation:
    """What to cross-validate. base: of the segmentation's runs; its run and fold are set for each fold.

    classifier: settings of the slice classifier, None for none. options: of ``braintumorseg segment``.
    """

    base: FitRequest
    folds: Path
    classifier: TrainingSettings | None
    data: Path
    options: tuple[str, ...]
    seed: int

    def run(self, on_progress: Progress = lambda _done, _all, _loss: None) -> list[PatientOutcome]:
        """All folds in turn. An interrupted call goes on where it was: finished runs are taken as they are.

        Writes fold-K/ (runs, release, evaluation) and evaluation/ (all patients) into the base's run folder.
        """
        outcomes: list[PatientOutcome] = []
        for fold in sorted(set(read_folds(self.folds).values())):
            outcomes += self._run_fold(fold, on_progress)
        self._write(self.base.run / "evaluation", outcomes, None)
        return outcomes

    def _run_fold(self, fold: int, on_progress: Progress) -> list[PatientOutcome]:
        folder = self.base.run / f"fold-{fold}"
        release = folder / "release"
        if self.classifier is not None:
            self._make_model(self.classifier, fold, CLASSIFIER, None, release, on_progress)
        companion = CLASSIFIER if self.classifier is not None else None
        self._make_model(self.base.settings, fold, SEGMENTATION, companion, release, on_progress)
        with staged_checkout(release) as code:
            outcomes = evaluate(self._held_out(fold), SegmentCommand(self.options, code))
        self._write(folder / "evaluation", outcomes, fold)
        return outcomes

    def _make_model(
        self,
        settings: TrainingSettings,
        fold: int,
        name: str,
        companion: str | None,
        release: Path,
        on_progress: Progress,
    ) -> None:
        run = self.base.run / f"fold-{fold}" / name
        fit(replace(self.base, settings=settings, run=run, folds=self.folds, fold=fold), on_progress)
        if settings.validation is not None and settings.split.protocol == "patients":
            calibrate_run(run, self.base.cache, self.base.device)
        request = ExportRequest(name, "0.0.1", f"fold {fold}", "Made for cross-validation.", classifier=companion)
        export_run(run, request, release)

    def _held_out(self, fold: int) -> Sequence[Source]:
        sources = data_sources(self.data)
        return [sources[name] for name in split(sources, read_folds(self.folds), fold)[1]]

    def _write(self, folder: Path, outcomes: Sequence[PatientOutcome], fold: int | None) -> None:
        about = {"seed": self.seed, "fold": fold, "options": list(self.options), "protocol": "patients"}
        write_evaluation(folder, outcomes, summarise(outcomes, self.seed), about)
