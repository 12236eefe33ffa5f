"""``braintumorseg-train reproduce`` and ``report``: published systems under their protocol and under the honest one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.training_options import (
    add_data_options,
    add_device_option,
    add_run_options,
    fit_request,
    step_bar,
)


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add both commands' grammar."""
    parser = commands.add_parser(
        "reproduce",
        parents=[common],
        help="train a published system as its authors did, and honestly beside it",
        description="Train a published system on random slices, as its authors did, and on patients; measure both in "
        "every definition. Writes reproduction.json.",
    )
    add_data_options(parser)
    add_device_option(parser)
    add_run_options(parser, "folder for both runs")
    parser.add_argument("--fold", type=int, required=True, metavar="K", help="fold to hold out of the honest run")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.set_defaults(run=_reproduce)
    report = commands.add_parser(
        "report",
        parents=[common],
        help="write the pages of all reproductions",
        description="Write an overview of all published systems: printed, reproduced, honest; what was not run is said "
        "to be missing. Each system's own page and pictures go into a folder beside it, named like the overview.",
    )
    report.add_argument("runs", type=Path, metavar="RUNS", help="folder with reproductions")
    report.add_argument("output", type=Path, metavar="OUT.md", help="overview to write, such as docs/reproduction.md")
    report.set_defaults(run=_report)


def _reproduce(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.data.sources import prepare_cache
    from brain_tumor_training.recipes.recipe import publication
    from brain_tumor_training.reproduction.protocols import Reproduction
    from brain_tumor_training.reproduction.report import section
    from brain_tumor_training.reproduction.result import read_result

    request = fit_request(arguments)
    prepare_cache(arguments.data, arguments.cache, arguments.folds)
    with step_bar() as on_progress:
        reported = publication(arguments.recipe).reported
        Reproduction(Path(arguments.recipe).stem, request, reported, arguments.seed).run(on_progress)
    print("\n".join(section(read_result(request.run))))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.reproduction.report import write_report

    done, systems = write_report(arguments.runs, arguments.output)
    print(f"{arguments.output}: {done} of {systems} published recipes were run")
    return 0
