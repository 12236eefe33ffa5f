"""``braintumorseg-train evaluate``: held-out patients through the program that users run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from brain_tumor_training.evaluation.plan import Models, Patients


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "evaluate",
        parents=[common],
        help="measure a model on held-out patients",
        description="Write each held-out patient as a study, segment it with the shipped program (one warm "
        "`braintumorseg worker` for all, or with --cold a fresh `braintumorseg segment` for each), and compare. "
        "Writes evaluation.md, metrics.json, per_patient.csv and per_slice.csv.",
    )
    parser.add_argument("output", type=Path, metavar="OUT_DIR", help="folder for the results")
    add_patient_options(parser)
    parser.add_argument(
        "--external", type=Path, metavar="DIR", help="instead of --data: folders with flair, seg, t1c ..."
    )
    parser.add_argument(
        "--change", metavar="NAME", help="of --data: flair-only, brightness-3, sagittal ... (see robustness)"
    )
    add_model_options(parser)
    add_running_options(parser)
    parser.add_argument(
        "--gate-cost", action="store_true", help="measure with the gate off too: what it costs, and the baseline"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    about = {"fold": arguments.fold, "limit": arguments.limit, "change": arguments.change}
    print(measure(arguments, arguments.output, patients_of(arguments), models_of(arguments), about))
    return 0


def measure(
    arguments: argparse.Namespace, folder: Path, patients: Patients, models: Models, about: Mapping[str, Any]
) -> str:
    """Measures and writes everything into ``folder``; returns the table. about: what else made these figures."""
    from brain_tumor_training.evaluation.files import table, write_evaluation
    from brain_tumor_training.evaluation.page import evaluation_page
    from brain_tumor_training.evaluation.plan import WORK, Condition
    from brain_tumor_training.evaluation.subgroups import subgroups
    from brain_tumor_training.evaluation.summary import summarise
    from brain_tumor_training.runs.run_folder import git_revision

    patients.check(with_fold_models=models.runs is not None)
    sources = patients.sources(about.get("change"))
    releases = models.releases(patients, folder / WORK)
    options = segment_options(arguments)
    conditions = [Condition("gated", sources, options)]
    if arguments.gate_cost:
        conditions.append(Condition("gate-off", sources, replace(options, gate=0.0)))
    with patient_bar(sum(len(one) for one in conditions)) as on_patient:
        found = measurement_of(arguments, folder, on_patient).run(conditions, releases)
    outcomes, ungated = found["gated"], found.get("gate-off")
    summary = summarise(outcomes, arguments.seed, ungated)
    told = {
        "seed": arguments.seed,
        **about,
        "options": options.arguments(),
        "run by": "braintumorseg segment" if arguments.cold else "braintumorseg worker",
        "calibration": models.calibrations(releases),
        "git revision": git_revision(),
    }
    fold_of = {source.name: fold for fold, some in sources.items() if fold is not None for source in some}
    groups = subgroups(outcomes, fold_of)
    write_evaluation(folder, outcomes, summary, groups, told, ungated)
    (folder / "evaluation.md").write_text(evaluation_page(summary, groups, outcomes, told))
    return table(summary)
