"""Train every fold's models and measure every patient with the models that have not seen him."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor_training.fit import FitRequest, fit
from brain_tumor_training.fold_models import CLASSIFIER, SEGMENTATION, FoldRuns
from brain_tumor_training.kaggle import read_folds
from brain_tumor_training.loop import Progress
from brain_tumor_training.refining import RefineRequest, refine_run
from brain_tumor_training.run_folder import RunFolder
from brain_tumor_training.settings import TrainingSettings
from brain_tumor_training.study_settings import RefinementSettings

REFINED = "refined"


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
        folds = sorted(set(read_folds(self.folds).values()))
        for fold in folds:
            for kind, settings in self._settings():
                request = replace(
                    self.base, settings=settings, run=self._folder(fold, kind), folds=self.folds, fold=fold
                )
                if settings.init == "segmentation":
                    request = replace(request, weights=RunFolder(self._folder(fold, SEGMENTATION)).weights)
                fit(request, on_progress)
        if self.refinement is not None:
            self._refine(folds, self.refinement, on_progress)
        patterns = {kind: str(self.base.run / "fold-{fold}" / kind) for kind in (SEGMENTATION, CLASSIFIER, REFINED)}
        return FoldRuns(
            patterns[SEGMENTATION if self.refinement is None else REFINED],
            None if self.classifier is None else patterns[CLASSIFIER],
            self.base.cache,
            self.base.device,
        )

    def _refine(self, folds: Sequence[int], settings: RefinementSettings, on_progress: Progress) -> None:
        """Once all folds are trained: a fold's refiner learns from what the other folds' networks say."""
        slices = {fold: self._folder(fold, SEGMENTATION) for fold in folds}
        for fold in folds:
            request = RefineRequest(
                slices[fold],
                list(slices.values()),
                self.base.cache,
                self.base.run / "logits",
                self._folder(fold, REFINED),
                settings,
                self.base.device,
            )
            refine_run(request, on_progress)

    def _settings(self) -> Sequence[tuple[str, TrainingSettings]]:
        classifier = [] if self.classifier is None else [(CLASSIFIER, self.classifier)]
        # The classifier comes second: it may start from the segmentation's encoder, which has seen the same patients.
        return [(SEGMENTATION, self.base.settings), *classifier]

    def _folder(self, fold: int, kind: str) -> Path:
        return self.base.run / f"fold-{fold}" / kind
