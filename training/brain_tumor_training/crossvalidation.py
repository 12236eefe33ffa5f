"""Train every fold's models and measure every patient with the models that have not seen him."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor_training.fit import FitRequest, fit
from brain_tumor_training.fold_models import CLASSIFIER, SEGMENTATION, FoldRuns
from brain_tumor_training.kaggle import read_folds
from brain_tumor_training.loop import Progress
from brain_tumor_training.run_folder import RunFolder
from brain_tumor_training.settings import TrainingSettings


@dataclass(frozen=True)
class FoldTraining:
    """What to train for each fold. base: of the segmentation's runs; its run and fold are set for each fold.

    classifier: settings of the slice classifier, None for none.
    """

    base: FitRequest
    folds: Path
    classifier: TrainingSettings | None

    def run(self, on_progress: Progress = lambda _done, _all, _loss: None) -> FoldRuns:
        """Trains into fold-K/segmentation and fold-K/classifier of the base's run folder.

        An interrupted call goes on where it was: finished runs are taken as they are.
        """
        for fold in sorted(set(read_folds(self.folds).values())):
            for kind, settings in self._settings():
                request = replace(
                    self.base, settings=settings, run=self._folder(fold, kind), folds=self.folds, fold=fold
                )
                if settings.init == "segmentation":
                    request = replace(request, weights=RunFolder(self._folder(fold, SEGMENTATION)).weights)
                fit(request, on_progress)
        patterns = {kind: str(self.base.run / "fold-{fold}" / kind) for kind, _ in self._settings()}
        return FoldRuns(patterns[SEGMENTATION], patterns.get(CLASSIFIER), self.base.cache, self.base.device)

    def _settings(self) -> Sequence[tuple[str, TrainingSettings]]:
        classifier = [] if self.classifier is None else [(CLASSIFIER, self.classifier)]
        # The classifier comes second: it may start from the segmentation's encoder, which has seen the same patients.
        return [(SEGMENTATION, self.base.settings), *classifier]

    def _folder(self, fold: int, kind: str) -> Path:
        return self.base.run / f"fold-{fold}" / kind
