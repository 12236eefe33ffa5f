"""``braintumorseg-train robustness``: the same patients as other scanners and pipelines would have given them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.evaluation_options import (
    add_model_options,
    add_patient_options,
    add_running_options,
    measurement_of,
    models_of,
    patient_bar,
    patients_of,
    segment_options,
)


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "robustness",
        parents=[common],
        help="measure what missing sequences, brightness, sampling and masking cost",
        description="Measure the same held-out patients unchanged and with sequences left out, other brightness, "
        "contrast and sampling, and everything but the brain masked. Writes robustness.md, robustness.json and "
        "per_patient.csv.",
    )
    parser.add_argument("output", type=Path, metavar="OUT_DIR", help="folder for the results")
    add_patient_options(parser)
    parser.add_argument("--changes", nargs="+", metavar="NAME", help="instead of the usual ones (see study_changes.py)")
    add_model_options(parser)
    add_running_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.evaluation.plan import WORK, Condition
    from brain_tumor_training.evaluation.robustness import (
        DEFAULT_CHANGES,
        UNCHANGED,
        robustness_rows,
        robustness_table,
        write_robustness,
    )
    from brain_tumor_training.runs.run_folder import git_revision

    patients, models = patients_of(arguments), models_of(arguments)
    patients.check(with_fold_models=models.runs is not None)
    options = segment_options(arguments)
    changes = {UNCHANGED: None} | {change: change for change in arguments.changes or DEFAULT_CHANGES}
    conditions = [Condition(name, patients.sources(change), options) for name, change in changes.items()]
    releases = models.releases(patients, arguments.output / WORK)
    with patient_bar(sum(len(one) for one in conditions)) as on_patient:
        outcomes = measurement_of(arguments, arguments.output, on_patient).run(conditions, releases)
    rows = robustness_rows(outcomes, arguments.seed)
    about = {
        "seed": arguments.seed,
        "fold": arguments.fold,
        "limit": arguments.limit,
        "options": options.arguments(),
        "git revision": git_revision(),
    }
    write_robustness(arguments.output, rows, outcomes, about)
    print(robustness_table(rows), end="")
    return 0
