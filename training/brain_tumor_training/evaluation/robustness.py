"""The same patients as other scanners, protocols and pipelines would have given them: how much is lost?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor_training.evaluation.files import plain, write_csv
from brain_tumor_training.evaluation.outcome import PatientOutcome
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
from brain_tumor_training.evaluation.summary import dice_losses
from brain_tumor_training.metrics.bootstrap import patient_bootstrap
from brain_tumor_training.runs.run_folder import git_revision
from BrainTumorSegLib.engine.files import atomic_path

DEFAULT_CHANGES = (
    "without-t1",
    "without-t1c",
    "flair-only",
    "brightness-0.3",
    "brightness-3",
    "contrast-0.7",
    "contrast-1.4",
    "in-plane-0.7mm",
    "in-plane-1.2mm",
    "slices-6mm",
    "brain-masked",
)
UNCHANGED = "unchanged"
ALLOWED_DROP = 0.03
"""What a change may cost of the mean volumetric Dice."""


@dataclass(frozen=True)
class RobustnessRequest:
    """Whom to measure with what under which changes, and where the results go. seed: of the bootstrap.

    folder: of the results. changes: of evaluation.changes.CHANGES; the unchanged studies are always measured too.
    """

    folder: Path
    patients: Patients
    models: Models = field(default_factory=Models)
    program: ProgramSettings = field(default_factory=ProgramSettings)
    changes: Sequence[str] = DEFAULT_CHANGES
    seed: int = 0


def measure_robustness(request: RobustnessRequest, on_patient: OnPatient = no_progress) -> list[dict[str, Any]]:
    """Measures the same patients unchanged and under every change; writes the files and returns the rows.

    Raises InputError for patients or models that are not clear, and for a change that does not exist.
    """
    patients, program = request.patients, request.program
    patients.check(with_fold_models=request.models.runs is not None)
    changes = {UNCHANGED: None} | {change: change for change in request.changes}
    conditions = [Condition(name, patients.sources(change), program.options) for name, change in changes.items()]
    work = request.folder / WORK
    releases = request.models.releases(patients, work)
    outcomes = Measurement(work, program.cold, program.resume, on_patient).run(conditions, releases)
    rows = robustness_rows(outcomes, request.seed)
    about = {
        "seed": request.seed,
        "fold": patients.fold,
        "limit": patients.limit,
        "options": program.options.arguments(),
        "git revision": git_revision(),
    }
    write_robustness(request.folder, rows, outcomes, about)
    return rows


def robustness_rows(outcomes: Mapping[str, Sequence[PatientOutcome]], seed: int) -> list[dict[str, Any]]:
    """A row per condition; the first of ``outcomes`` is what the others are compared with, patient by patient."""
    reference = next(iter(outcomes.values()))
    return [_row(change, some, reference, seed) for change, some in outcomes.items()]


def _row(
    change: str, outcomes: Sequence[PatientOutcome], reference: Sequence[PatientOutcome], seed: int
) -> dict[str, Any]:
    dice = [one.volumetric_dice for one in outcomes]
    drops = dice_losses(outcomes, reference)
    worst = int(np.argmax(drops))
    return {
        "change": change,
        "patients": len(outcomes),
        "volumetric_dice_mean": patient_bootstrap(dice, _mean, seed),
        "volumetric_dice_median": float(np.median(dice)),
        "mean_drop": patient_bootstrap(drops, _mean, seed),
        "largest_drop": drops[worst],
        "patient_of_largest_drop": outcomes[worst].name,
    }


def write_robustness(
    folder: Path, rows: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Sequence[PatientOutcome]], about: Any
) -> None:
    """Writes robustness.json, robustness.md and per_patient.csv (a column per condition) into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"about": about, "rows": [plain(row) for row in rows]}
    with atomic_path(folder / "robustness.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    with atomic_path(folder / "robustness.md") as temporary:
        temporary.write_text(robustness_table(rows))
    dice = {change: {one.name: one.volumetric_dice for one in some} for change, some in outcomes.items()}
    names = [one.name for one in next(iter(outcomes.values()))]
    write_csv(
        folder / "per_patient.csv",
        ({"patient": name, **{change: f"{by_name[name]:.5f}" for change, by_name in dice.items()}} for name in names),
    )


def robustness_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| studies | mean volumetric Dice per patient | median | mean drop | "
        f"within {ALLOWED_DROP:g} | largest drop of a patient |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        mean, drop = row["volumetric_dice_mean"], row["mean_drop"]
        is_first = row["change"] == UNCHANGED
        compared = ["–"] * 3
        if not is_first:
            verdict = "yes" if drop.value <= ALLOWED_DROP else "**no**"
            compared = [
                f"{drop.value:+.4f} [{drop.low:+.4f}, {drop.high:+.4f}]",
                verdict,
                f"{row['largest_drop']:+.4f}",
            ]
        value = f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
        lines.append(f"| {row['change']} | {value} | {row['volumetric_dice_median']:.4f} | {' | '.join(compared)} |")
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
