"""``braintumorseg-train crossvalidate``: every fold trained, and every patient measured by the shipped program."""

from __future__ import annotations

import argparse
from typing import Any

from brain_tumor_training.commands.cross_validation_options import (
    add_cross_validation_options,
    cross_validation_of,
    run_shown,
)


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "crossvalidate",
        parents=[common],
        help="train and evaluate on every fold",
        description="Train on all folds but one, for every fold; calibrate on training patients; measure the "
        "held-out patients of each fold with its models, with the gate on and off. The same command goes on with an "
        "interrupted cross-validation (--resume: also with its evaluation).",
    )
    add_cross_validation_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    run_shown(cross_validation_of(arguments))
    return 0
