"""``braintumorseg-train release``: from the data to bundles that can be published, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.cross_validation_options import (
    add_cross_validation_options,
    cross_validation_of,
    run_shown,
)
from brain_tumor_training.commands.training_options import step_bar


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "release",
        parents=[common],
        help="cross-validate, train on all patients, and write both models as bundles",
        description="Do all that crossvalidate does, then train the same models on all patients, calibrate them on the "
        "held-out patients of the folds, and write them with the cross-validation's figures as MONAI "
        "bundles into a release folder. The same command goes on with an interrupted one (--resume: also with its "
        "evaluation).",
    )
    add_cross_validation_options(parser)
    parser.add_argument("--name", required=True, help="the segmentation's name; the slice classifier is NAME-slices")
    parser.add_argument("--version", default="1.0.0", help="of both models (default: 1.0.0)")
    parser.add_argument("--release", type=Path, default=Path("release"), metavar="DIR", help="default: release")
    parser.add_argument("--title", help="for people (default: the name)")
    parser.add_argument("--description", help="a sentence or two (default: the title)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.releasing.release import ReleaseRequest, make_release

    validation = cross_validation_of(arguments)
    run_shown(validation)
    title = arguments.title or arguments.name
    request = ReleaseRequest(
        arguments.name,
        arguments.version,
        title,
        arguments.description or f"{title}.",
        arguments.release,
        validation.folder / "metrics.json",
    )
    with step_bar() as on_progress:
        for path in make_release(validation.training, request, on_progress):
            print(path)
    return 0
