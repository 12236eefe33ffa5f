"""``braintumorseg-train fit``: one training run."""

from __future__ import annotations

import argparse
from typing import Any

from brain_tumor_training.commands.training_options import (
    add_data_options,
    add_device_option,
    add_run_options,
    fit_request,
    step_bar,
)


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "fit",
        parents=[common],
        help="train a network by a recipe, or go on with an interrupted run",
        description="Train a network by a recipe. The same command goes on with an interrupted run; torchrun starts it "
        "in several processes.",
    )
    add_data_options(parser)
    add_device_option(parser)
    add_run_options(parser, "the run's folder")
    parser.add_argument("--fold", type=int, metavar="K", help="fold to hold out (needs --folds)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.data.sources import prepare_cache
    from brain_tumor_training.fitting.distributed import Processes
    from brain_tumor_training.fitting.fit import fit

    request = fit_request(arguments)
    prepare_cache(arguments.data, arguments.cache, arguments.folds)
    with step_bar() as on_progress:
        weights = fit(request, on_progress)
    if Processes.of_environment().is_first:
        print(weights)
    return 0
