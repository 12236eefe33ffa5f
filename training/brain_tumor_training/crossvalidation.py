"""Train every fold's models and measure every patient with the models that have not seen him."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor_training.derived_runs import classifier_run, join_runs
from brain_tumor_training.fit import FitRequest, fit
from brain_tumor_training.fold_models import CLASSIFIER, SEGMENTATION, FoldRuns
from brain_tumor_training.kaggle import read_folds
from brain_tumor_training.loop import Progress
from brain_tumor_training.run_folder import RunFolder
from brain_tumor_training.settings import TrainingSettings
from BrainTumorSegLib.engine.errors import InputError

_FINE, _COARSE = "fine", "coarse"


@dataclass(frozen=True)
class FoldTraining:
    """What to train for each fold. base: of the segmentation's runs; its run and fold are set for each fold.

    classifier: settings of the slice classifier, None for none. coarse: settings of a coarse member, which is joined
    with the segmentation and is the slice classifier too. Raises InputError for both: each makes the classifier.
    """

    base: FitRequest
    folds: Path
    classifier: TrainingSettings | None = None
    coarse: TrainingSettings | None = None

    def __post_init__(self) -> None:
        if self.classifier is not None and self.coarse is not None:
            raise InputError("There would be two slice classifiers.", "Give either a classifier's or a coarse recipe.")

    def run(self, on_progress: Progress = lambda _done, _all, _loss: None) -> FoldRuns:
        """Trains into fold-K/segmentation and fold-K/classifier of the base's run folder (with a coarse member into
        fold-K/fine and fold-K/coarse first).

        An interrupted call goes on where it was: finished runs are taken as they are.
        """
        for fold in sorted(set(read_folds(self.folds).values())):
            if self.coarse is None:
                self._train_separately(fold, on_progress)
            else:
                self._train_members(fold, self.coarse, on_progress)
        pattern = self.base.run / "fold-{fold}"
        has_classifier = self.classifier is not None or self.coarse is not None
        classifier = str(pattern / CLASSIFIER) if has_classifier else None
        return FoldRuns(str(pattern / SEGMENTATION), classifier, self.base.cache, self.base.device)

    def _train_separately(self, fold: int, on_progress: Progress) -> None:
        self._fit(fold, SEGMENTATION, self.base.settings, on_progress)
        if self.classifier is not None:
            self._fit(fold, CLASSIFIER, self.classifier, on_progress)

    def _train_members(self, fold: int, coarse: TrainingSettings, on_progress: Progress) -> None:
        for kind, settings in ((_FINE, self.base.settings), (_COARSE, coarse)):
            self._fit(fold, kind, settings, on_progress)
        members = self._folder(fold, _FINE), self._folder(fold, _COARSE)
        join_runs(*members, self._folder(fold, SEGMENTATION))
        classifier_run(members[1], self._folder(fold, CLASSIFIER))

    def _fit(self, fold: int, kind: str, settings: TrainingSettings, on_progress: Progress) -> None:
        request = replace(self.base, settings=settings, run=self._folder(fold, kind), folds=self.folds, fold=fold)
        if settings.init == "segmentation":
            # Of the same fold: its encoder has seen the same patients.
            request = replace(request, weights=RunFolder(self._folder(fold, SEGMENTATION)).weights)
        fit(request, on_progress)

    def _folder(self, fold: int, kind: str) -> Path:
        return self.base.run / f"fold-{fold}" / kind
