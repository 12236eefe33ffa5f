"""``braintumorseg-train join``: two runs, at full and at half sampling, as one that averages them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.training_options import add_run_options


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "join",
        parents=[common],
        help="join a fine and a coarse run to one network",
        description="Join a run of release_segmentation and one of ablation_coarse, of the same patients, "
        "to one network that averages them. The result is a finished run, to be calibrated, evaluated and exported.",
    )
    parser.add_argument("fine", type=Path, metavar="FINE", help="run at full sampling")
    parser.add_argument("coarse", type=Path, metavar="COARSE", help="run at half sampling")
    add_run_options(parser, "folder of the joined run")
    parser.set_defaults(run=_join)


def _join(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.joining import join_runs

    print(join_runs(arguments.fine, arguments.coarse, arguments.run_folder))
    return 0
