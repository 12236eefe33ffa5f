"""``braintumorseg-train compare``: two evaluations of the same patients, patient by patient."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "compare",
        parents=[common],
        help="tell whether one evaluation is better than another, patient by patient",
        description="Compare the volumetric Dice of the same patients in two evaluations: paired differences with 95 % "
        "intervals over patients, Wilcoxon's signed-rank test, and who gains and loses most.",
    )
    for name in ("before", "after"):
        parser.add_argument(
            f"--{name}", type=Path, nargs="+", required=True, metavar="DIR", help="folders that evaluate has written"
        )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.evaluation.comparison import compare_evaluations, comparison_table, read_dice

    found = compare_evaluations(read_dice(arguments.before), read_dice(arguments.after), arguments.seed)
    print(comparison_table(found), end="")
    return 0
