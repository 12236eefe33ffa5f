"""An evaluation from patients to files: measured by the shipped program, summarised and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brain_tumor_training.evaluation.files import write_evaluation
from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.evaluation.page import evaluation_page
from brain_tumor_training.evaluation.plan import (
    WORK,
    Condition,
    Measurement,
    Models,
    OnPatient,
    Patients,
    ProgramSettings,
    no_progress,
)
from brain_tumor_training.evaluation.subgroups import subgroups
from brain_tumor_training.evaluation.summary import summarise
from brain_tumor_training.runs.run_folder import git_revision

_GATED, _GATE_OFF = "gated", "gate-off"


@dataclass(frozen=True)
class EvaluationRequest:
    """Whom to measure with what, and where the results go.

    folder: of the results. change: of evaluation.changes.CHANGES, None leaves the studies as they are. gate_cost:
    measure with the gate off too, which tells what the gate costs and gives the baseline of the slice classifier.
    seed: of the bootstrap. about: what else made these figures, for metrics.json and the page.
    """

    folder: Path
    patients: Patients
    models: Models = field(default_factory=Models)
    program: ProgramSettings = field(default_factory=ProgramSettings)
    change: str | None = None
    gate_cost: bool = False
    seed: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What was measured. outcomes: by patient, in the order of folds. summary: of them, see ``summarise``.

    groups: see ``subgroups``. gate_off: the same patients with the gate off, None where that was not asked for.
    """

    outcomes: Sequence[PatientOutcome]
    summary: Mapping[str, Any]
    groups: Mapping[str, Any]
    gate_off: Sequence[PatientOutcome] | None = None


def measure(request: EvaluationRequest, on_patient: OnPatient = no_progress) -> Evaluation:
    """Measures, and writes metrics.json, per_patient.csv, per_slice.csv and evaluation.md into the request's folder.

    Raises InputError for patients or models that are not clear, and for a study that the program refuses.
    """
    patients, program = request.patients, request.program
    patients.check(with_fold_models=request.models.runs is not None)
    sources = patients.sources(request.change)
    releases = request.models.releases(patients, request.folder / WORK)
    conditions = [Condition(_GATED, sources, program.options)]
    if request.gate_cost:
        conditions.append(Condition(_GATE_OFF, sources, replace(program.options, gate=0.0)))
    found = Measurement(request.folder / WORK, program.cold, program.resume, on_patient).run(conditions, releases)
    outcomes, gate_off = found[_GATED], found.get(_GATE_OFF)
    fold_of = {source.name: fold for fold, some in sources.items() if fold is not None for source in some}
    measured = Evaluation(outcomes, summarise(outcomes, request.seed, gate_off), subgroups(outcomes, fold_of), gate_off)
    _write(request, measured, request.models.calibrations(releases))
    return measured


def _write(request: EvaluationRequest, measured: Evaluation, calibration: Any) -> None:
    program = request.program
    about = {
        "seed": request.seed,
        **request.about,
        "options": program.options.arguments(),
        "run by": "braintumorseg segment" if program.cold else "braintumorseg worker",
        "calibration": calibration,
        "git revision": git_revision(),
    }
    summary, groups, outcomes = measured.summary, measured.groups, measured.outcomes
    write_evaluation(request.folder, outcomes, summary, groups, about, measured.gate_off)
    (request.folder / "evaluation.md").write_text(evaluation_page(summary, groups, outcomes, about))
