"""``braintumorseg-train evaluate``: held-out patients through the program that users run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.evaluation_options import (
    add_model_options,
    add_patient_options,
    add_running_options,
    models_of,
    patient_bar,
    patients_of,
    program_settings,
)


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
    from brain_tumor_training.evaluation.files import table
    from brain_tumor_training.evaluation.measure import EvaluationRequest, measure

    request = EvaluationRequest(
        arguments.output,
        patients_of(arguments),
        models_of(arguments),
        program_settings(arguments),
        arguments.change,
        arguments.gate_cost,
        arguments.seed,
        about={"fold": arguments.fold, "limit": arguments.limit, "change": arguments.change},
    )
    with patient_bar() as on_patient:
        print(table(measure(request, on_patient).summary))
    return 0
