"""Two evaluations of the same patients: is one better than the other, patient by patient?"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from brain_tumor_training.metrics.bootstrap import Estimate, patient_bootstrap
from BrainTumorSegLib.engine.errors import InputError

_TABLE = "per_patient.csv"
_COLUMN = "volumetric_dice"
_SHOWN = 3


@dataclass(frozen=True)
class EvaluationComparison:
    """Volumetric Dice of the same patients, before and after.

    before, after: by patient, in the same order. mean_difference, median_difference: after less before, paired, with
    intervals over patients. p: of Wilcoxon's signed-rank test (Biometrics Bulletin 1, 1945), two-sided; 1 where no
    patient differs.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    mean_difference: Estimate
    median_difference: Estimate
    p: float

    @property
    def differences(self) -> dict[str, float]:
        """After less before, the greatest loss first."""
        found = {name: self.after[name] - value for name, value in self.before.items()}
        return dict(sorted(found.items(), key=lambda item: item[1]))


def compare_evaluations(before: Mapping[str, float], after: Mapping[str, float], seed: int) -> EvaluationComparison:
    """Compares volumetric Dice by patient. Raises InputError unless both are of the same patients."""
    alone = sorted(set(before) ^ set(after))
    if alone or not before:
        raise InputError(
            f"The two sides are not of the same patients: {', '.join(alone[:_SHOWN]) or 'there is none'} "
            f"({len(alone)} stand on one side alone).",
            "Compare evaluations of the same folds.",
        )
    names = sorted(before)
    differences = [after[name] - before[name] for name in names]
    return EvaluationComparison(
        {name: before[name] for name in names},
        {name: after[name] for name in names},
        patient_bootstrap(differences, lambda some: float(np.mean(some)), seed),
        patient_bootstrap(differences, lambda some: float(np.median(some)), seed),
        float(wilcoxon(differences).pvalue) if any(differences) else 1.0,
    )


def read_dice(evaluations: Sequence[Path]) -> dict[str, float]:
    """Volumetric Dice by patient, of one or more folders of ``evaluate`` (such as one per fold).

    Raises InputError for a folder without an evaluation and for a patient in two of them.
    """
    found: dict[str, float] = {}
    for folder in evaluations:
        path = folder / _TABLE
        if not path.is_file():
            raise InputError(f"{folder} holds no {_TABLE}.", "Give a folder that `evaluate` has written.")
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if _COLUMN not in (reader.fieldnames or ()):
                raise InputError(f"{path} has no column {_COLUMN}.", "Give a folder that `evaluate` has written.")
            for row in reader:
                if row["patient"] in found:
                    raise InputError(
                        f"{row['patient']} is in two of the evaluations.", "Give evaluations of different patients."
                    )
                found[row["patient"]] = float(row[_COLUMN])
    return found


def comparison_table(found: EvaluationComparison) -> str:
    """Markdown: both sides, their paired difference, and who gains and loses most."""
    sides = {"before": list(found.before.values()), "after": list(found.after.values())}
    differences = found.differences
    changed = list(differences.values())
    lines = [
        f"| volumetric Dice, {len(changed)} patients | mean | median | worst |",
        "|---|---|---|---|",
        *(f"| {name} | {np.mean(one):.4f} | {np.median(one):.4f} | {min(one):.4f} |" for name, one in sides.items()),
        f"| paired difference | {_interval(found.mean_difference)} | {_interval(found.median_difference)} | |",
        "",
        f"Better: {sum(one > 0 for one in changed)}, worse: {sum(one < 0 for one in changed)}, "
        f"Wilcoxon's signed-rank test: p = {found.p:.2g}.",
        "",
        "| greatest changes | before | after | difference |",
        "|---|---|---|---|",
        *(
            f"| {name} | {found.before[name]:.4f} | {found.after[name]:.4f} | {differences[name]:+.4f} |"
            for name in _ends(list(differences))
        ),
    ]
    return "\n".join(lines) + "\n"


def _ends(names: Sequence[str]) -> list[str]:
    """The first and the last few, each once."""
    return list(dict.fromkeys([*names[:_SHOWN], *names[-_SHOWN:]]))


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
