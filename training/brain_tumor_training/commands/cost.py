"""``braintumorseg-train cost``: accuracy against time of several models, as one picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "cost",
        parents=[common],
        help="draw accuracy against time of measured models",
        description="Draw accuracy against time of measured models. TABLE has a line per model and the columns model, "
        "volumetric_dice_mean, low, high, seconds and group, of which low, high (the interval) and group may be empty.",
    )
    parser.add_argument("table", type=Path, metavar="TABLE.csv", help="measured models")
    parser.add_argument("output", type=Path, metavar="OUT.png", help="picture to write")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.evaluation.cost import read_costs
    from brain_tumor_training.metrics.charts import accuracy_against_cost
    from BrainTumorSegLib.engine.files import atomic_path

    picture = accuracy_against_cost(
        read_costs(arguments.table), "volumetric Dice per patient, mean", "seconds per study, warm"
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(arguments.output) as temporary:
        temporary.write_bytes(picture)
    print(arguments.output)
    return 0
