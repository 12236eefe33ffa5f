"""Train every fold's models and measure the held-out patients of each fold with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brain_tumor_training.bundles.fold_bundles import CLASSIFIER, SEGMENTATION, FoldRuns
from brain_tumor_training.data.folds import read_folds
from brain_tumor_training.data.sources import prepare_cache
from brain_tumor_training.evaluation.measure import Evaluation, EvaluationRequest, measure
from brain_tumor_training.evaluation.plan import Models, OnPatient, Patients, ProgramSettings, no_progress
from brain_tumor_training.fitting.fit import FitRequest, fit
from brain_tumor_training.fitting.trainer import Progress
from brain_tumor_training.recipes.settings import TrainingSettings
from brain_tumor_training.refinement.fit import RefineRequest, refine_run
from brain_tumor_training.refinement.settings import RefinementSettings
from brain_tumor_training.runs.run_folder import RunFolder

REFINED = "refined"
ALL = "all"
"""Folder of the models of all patients, beside those of the folds."""
_EVALUATION = "evaluation"


@dataclass(frozen=True)
class TrainedModels:
    """Finished runs. segmentation: the refined one where there is a refiner. classifier: None for none."""

    segmentation: Path
    classifier: Path | None


@dataclass(frozen=True)
class FoldTraining:
    """What to train for each fold. base: of the segmentation's runs; its run and fold are set for each fold.

    classifier: settings of the slice classifier, None for none. refinement: settings of a refiner of each fold's
    segmentation, None for none.
    """

    base: FitRequest
    folds: Path
    classifier: TrainingSettings | None
    refinement: RefinementSettings | None = None

    def run(self, on_progress: Progress = lambda _done, _all, _loss: None) -> FoldRuns:
        """Trains into fold-K/segmentation, fold-K/classifier and fold-K/refined of the base's run folder.

        An interrupted call goes on where it was: finished runs are taken as they are.
        """
        for fold in self.fold_numbers:
            self._fit(_of_fold(fold), replace(self.base, folds=self.folds, fold=fold), on_progress)
        for fold in self.fold_numbers:
            self._refine(_of_fold(fold), on_progress)
        models = self._models(_of_fold("{fold}"))
        classifier = None if models.classifier is None else str(models.classifier)
        return FoldRuns(str(models.segmentation), classifier, self.base.cache, self.base.device)

    def run_on_all(self, on_progress: Progress = lambda _done, _all, _loss: None) -> TrainedModels:
        """Trains on all patients, into all/segmentation, all/classifier and all/refined.

        Every fold has to be trained first where there is a refiner: it learns from what the folds' networks say of
        their held-out patients. An interrupted call goes on where it was.
        """
        self._fit(ALL, replace(self.base, folds=None, fold=None), on_progress)
        self._refine(ALL, on_progress)
        return self._models(ALL)

    @property
    def fold_numbers(self) -> Sequence[int]:
        """In order."""
        return sorted(set(read_folds(self.folds).values()))

    def _fit(self, group: str, request: FitRequest, on_progress: Progress) -> None:
        for kind, settings in self._settings():
            one = replace(request, settings=settings, run=self._folder(group, kind))
            if settings.init == "segmentation":
                one = replace(one, weights=RunFolder(self._folder(group, SEGMENTATION)).weights)
            fit(one, on_progress)

    def _refine(self, group: str, on_progress: Progress) -> None:
        """A group's refiner learns from what the networks of folds say of patients who are new to them."""
        if self.refinement is None:
            return
        request = RefineRequest(
            self._folder(group, SEGMENTATION),
            [self._folder(_of_fold(fold), SEGMENTATION) for fold in self.fold_numbers],
            self.base.cache,
            self.base.run / "logits",
            self._folder(group, REFINED),
            self.refinement,
            self.base.device,
        )
        refine_run(request, on_progress)

    def _settings(self) -> Sequence[tuple[str, TrainingSettings]]:
        classifier = [] if self.classifier is None else [(CLASSIFIER, self.classifier)]
        # The classifier comes second: it may start from the segmentation's encoder, trained on the same patients.
        return [(SEGMENTATION, self.base.settings), *classifier]

    def _models(self, group: str) -> TrainedModels:
        segmentation = self._folder(group, SEGMENTATION if self.refinement is None else REFINED)
        return TrainedModels(segmentation, None if self.classifier is None else self._folder(group, CLASSIFIER))

    def _folder(self, group: str, kind: str) -> Path:
        return self.base.run / group / kind


@dataclass(frozen=True)
class CrossValidation:
    """What to train for each fold, and how to measure it. data: the patients as studies. seed: of the bootstrap.

    about: what else made the figures, for metrics.json and the page.
    """

    training: FoldTraining
    data: Path
    program: ProgramSettings = field(default_factory=ProgramSettings)
    seed: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Of the results, in the folder of the runs."""
        return self.training.base.run / _EVALUATION

    def train(self, on_progress: Progress = lambda _done, _all, _loss: None) -> FoldRuns:
        """Makes the cache where it is not there, and trains every fold (see FoldTraining.run).

        Raises InputError for folds that part two examinations of one person.
        """
        prepare_cache(self.data, self.training.base.cache, self.training.folds)
        return self.training.run(on_progress)

    def measure(self, runs: FoldRuns, on_patient: OnPatient = no_progress) -> Evaluation:
        """Measures each fold's held-out patients with its models, by the shipped program, into ``folder``.

        With a slice classifier the gate is also measured off.
        """
        request = EvaluationRequest(
            self.folder,
            Patients(data=self.data, folds=self.training.folds),
            Models(runs=runs),
            self.program,
            gate_cost=self.training.classifier is not None,
            seed=self.seed,
            about={**self.about, "protocol": "patients"},
        )
        return measure(request, on_patient)


def _of_fold(fold: int | str) -> str:
    return f"fold-{fold}"
