"""``braintumorseg-train join`` and ``classifier``: finished runs made of a fine and a coarse one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.training_options import add_run_options


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add both commands' grammar."""
    _add_classifier(commands, common)
    parser = commands.add_parser(
        "join",
        parents=[common],
        help="join a fine and a coarse run to one network",
        description="Join a run of release_segmentation and one of release_segmentation_coarse, of the same patients, "
        "to one network that averages them. The result is a finished run, to be calibrated, evaluated and exported.",
    )
    parser.add_argument("fine", type=Path, metavar="FINE", help="run at full sampling")
    parser.add_argument("coarse", type=Path, metavar="COARSE", help="run at half sampling")
    add_run_options(parser, "folder of the joined run")
    parser.set_defaults(run=_join)


def _add_classifier(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "classifier",
        parents=[common],
        help="take a coarse run as slice classifier",
        description="Take a run of release_segmentation_coarse as slice classifier: the mean of its highest logits. "
        "The result is a finished run, to be calibrated, evaluated and exported.",
    )
    parser.add_argument("coarse", type=Path, metavar="COARSE", help="run at half sampling")
    add_run_options(parser, "folder of the classifier's run")
    parser.set_defaults(run=_classifier)


def _join(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.derived_runs import join_runs

    print(join_runs(arguments.fine, arguments.coarse, arguments.run_folder))
    return 0


def _classifier(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.derived_runs import classifier_run

    print(classifier_run(arguments.coarse, arguments.run_folder))
    return 0
