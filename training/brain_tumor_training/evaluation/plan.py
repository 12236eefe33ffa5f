"""Which patients are measured with which models: one release for all, or each fold's own."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from brain_tumor_training.bundles.fold_bundles import FoldRuns
from brain_tumor_training.data.folds import read_folds, split_patients
from brain_tumor_training.evaluation.changes import CHANGES
from brain_tumor_training.evaluation.kept_outcomes import OutcomeFolder
from brain_tumor_training.evaluation.outcome import PatientOutcome, evaluate
from brain_tumor_training.evaluation.studies import EvaluationSource, data_sources, folder_sources
from brain_tumor_training.program.command import SegmentCommand
from brain_tumor_training.program.outputs import SegmentsStudies
from brain_tumor_training.program.worker import segment_worker
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.store import INDEX_FILE, ModelStore
from BrainTumorSegLib.engine.settings import RunSettings

WORK = "work"
"""Folder, within a result's folder, of models made for it and of what is kept for going on."""

OnPatient = Callable[[int, int], None]
"""Called after each patient with (patients done, patients in all), of all conditions together."""


def no_progress(_done: int, _total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class ProgramSettings:
    """How the shipped program is run. options: its own. cold, resume: see Measurement."""

    options: RunSettings = field(default_factory=RunSettings)
    cold: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Patients:
    """Whom to measure. Either data (and folds, with one fold or, for models of folds, all) or external studies."""

    data: Path | None = None
    external: Path | None = None
    folds: Path | None = None
    fold: int | None = None
    limit: int | None = None

    def check(self, with_fold_models: bool) -> None:
        """Raises InputError for what is not clear."""
        if (self.data is None) == (self.external is None):
            raise InputError("Which studies to evaluate is not clear.", "Give either --data or --external.")
        if with_fold_models and (self.data is None or self.folds is None):
            raise InputError("Models of folds need the data and its folds.", "Give --data and --folds.")
        if not with_fold_models and (self.folds is None) != (self.fold is None):
            raise InputError("A fold needs a folds file and a number.", "Give both --folds and --fold, or neither.")

    def sources(self, change: str | None = None) -> dict[int | None, list[EvaluationSource]]:
        """The studies by fold; under None where there are no folds. change: of changes.CHANGES."""
        if change is not None and (self.external is not None or change not in CHANGES):
            raise InputError(
                f"Studies can't be changed by '{change}'.", f"With --data, choose one of {', '.join(CHANGES)}."
            )
        if self.external is not None:
            return {None: list(folder_sources(self.external)[: self.limit])}
        if self.data is None:
            raise InputError("Which studies to evaluate is not clear.", "Give either --data or --external.")
        sources = data_sources(self.data, change)
        return {fold: [sources[name] for name in names][: self.limit] for fold, names in self._names(sources)}

    def held_out(self) -> dict[int, list[str]]:
        """All patients of each fold that is measured, whatever the limit. Raises InputError without folds."""
        if self.data is None or self.folds is None:
            raise InputError("Models of folds need the data and its folds.", "Give --data and --folds.")
        return {fold: names for fold, names in self._names(data_sources(self.data)) if fold is not None}

    def _names(self, known: Mapping[str, EvaluationSource]) -> Iterator[tuple[int | None, list[str]]]:
        if self.folds is None:
            yield None, list(known)
            return
        folds = read_folds(self.folds)
        for fold in sorted(set(folds.values())) if self.fold is None else [self.fold]:
            yield fold, split_patients(known, folds, fold)[1]


@dataclass(frozen=True)
class Models:
    """What to measure: the installed models, those of a release folder, or those of each fold's runs."""

    release: Path | None = None
    runs: FoldRuns | None = None

    def releases(self, patients: Patients, work: Path) -> Mapping[int | None, Path | None]:
        """The release folder for each fold, None for the installed models; models of runs are exported into ``work``.

        Raises InputError for a release folder without an index, and as FoldRuns does.
        """
        if self.release is not None and not (self.release / INDEX_FILE).is_file():
            action = "Export a model into it first (braintumorseg-train export)."
            raise InputError(f"{self.release} has no {INDEX_FILE}.", action)
        if self.runs is None:
            return defaultdict(lambda: self.release)
        by_fold: dict[int | None, Path | None] = {}
        by_fold.update(self.runs.releases(patients.held_out(), work / "models").items())
        return by_fold

    def calibrations(self, releases: Mapping[int | None, Path | None]) -> Any:
        """By fold, what was chosen for each model and on whom; None for a release, whose models say it themselves."""
        if self.runs is None:
            return None
        return {str(fold): self.runs.calibration(fold) for fold in releases if fold is not None}


@dataclass(frozen=True)
class Condition:
    """One way to measure. name: of its kept outcomes. sources: by fold."""

    name: str
    sources: Mapping[int | None, Sequence[EvaluationSource]]
    options: RunSettings

    def __len__(self) -> int:
        return sum(len(some) for some in self.sources.values())


@dataclass(frozen=True)
class Measurement:
    """How studies are run. cold: each by the command line in a fresh process; otherwise by one warm worker per release.

    work: for outcomes of single patients. resume: take those that are there and were made by the same models and
    options; without it they are made anew, since the program may have changed.
    """

    work: Path
    cold: bool = False
    resume: bool = False
    on_patient: OnPatient = no_progress

    def run(
        self, conditions: Sequence[Condition], releases: Mapping[int | None, Path | None]
    ) -> dict[str, list[PatientOutcome]]:
        """By condition, the outcomes of all patients in the order of folds and sources."""
        outcomes: dict[str, list[PatientOutcome]] = {one.name: [] for one in conditions}
        done, total = count(1), sum(len(one) for one in conditions)

        def advance() -> None:
            self.on_patient(next(done), total)

        for fold in conditions[0].sources:
            with self._segmenter(releases[fold]) as segmenter:
                for one in conditions:
                    kept = OutcomeFolder(self.work / one.name, self._made_by(releases[fold], one.options))
                    outcomes[one.name] += self._measure(one.sources[fold], one.options, kept, segmenter, advance)
        return outcomes

    def _measure(
        self,
        sources: Sequence[EvaluationSource],
        options: RunSettings,
        kept: OutcomeFolder,
        segmenter: SegmentsStudies,
        advance: Callable[[], None],
    ) -> list[PatientOutcome]:
        known = {one.name: kept.load(one.name) if self.resume else None for one in sources}
        for outcome in known.values():
            if outcome is not None:
                advance()

        def keep(outcome: PatientOutcome) -> None:
            kept.save(outcome)
            advance()

        left = [one for one in sources if known[one.name] is None]
        known |= {one.name: one for one in evaluate(left, segmenter, options, keep)}
        return [outcome for one in sources if (outcome := known[one.name]) is not None]

    @contextmanager
    def _segmenter(self, release: Path | None) -> Iterator[SegmentsStudies]:
        if self.cold:
            yield SegmentCommand(release)
            return
        with segment_worker(release) as worker:
            yield worker

    def _made_by(self, release: Path | None, options: RunSettings) -> dict[str, Any]:
        if release is None:
            models = [f"{one.name} {one.version} {one.sha256}" for one in ModelStore.default().entries()]
        else:
            models = [hashlib.sha256((release / INDEX_FILE).read_bytes()).hexdigest()]
        return {"models": models, "options": options.arguments(), "cold": self.cold}
