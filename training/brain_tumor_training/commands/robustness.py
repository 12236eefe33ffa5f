"""``braintumorseg-train robustness``: the same patients as other scanners and pipelines would have given them."""

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
        "robustness",
        parents=[common],
        help="measure what missing sequences, brightness, sampling and masking cost",
        description="Measure the same held-out patients unchanged and with sequences left out, other brightness, "
        "contrast and sampling, and everything but the brain masked. Writes robustness.md, robustness.json and "
        "per_patient.csv.",
    )
    parser.add_argument("output", type=Path, metavar="OUT_DIR", help="folder for the results")
    add_patient_options(parser)
    parser.add_argument("--changes", nargs="+", metavar="NAME", help="instead of the usual ones (see changes.py)")
    add_model_options(parser)
    add_running_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.evaluation.robustness import (
        DEFAULT_CHANGES,
        RobustnessRequest,
        measure_robustness,
        robustness_table,
    )

    request = RobustnessRequest(
        arguments.output,
        patients_of(arguments),
        models_of(arguments),
        program_settings(arguments),
        arguments.changes or DEFAULT_CHANGES,
        arguments.seed,
    )
    with patient_bar() as on_patient:
        print(robustness_table(measure_robustness(request, on_patient)), end="")
    return 0
