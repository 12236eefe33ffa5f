"""``braintumorseg-train reproduce`` and ``report``: published systems under their protocol and under the honest one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.fit import add_data_options, prepare_cache, read_recipe, step_bar


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
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR", help="folder for both runs", dest="run_folder"
    )
    parser.add_argument("--fold", type=int, required=True, metavar="K", help="fold to hold out of the honest run")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.set_defaults(run=_reproduce)
    report = commands.add_parser(
        "report", parents=[common], help="write the page of all reproductions", description="Write reproduction.md."
    )
    report.add_argument("runs", type=Path, metavar="RUNS", help="folder with reproductions")
    report.add_argument("output", type=Path, metavar="OUT.md", help="page to write, such as docs/reproduction.md")
    report.set_defaults(run=_report)


def _reproduce(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.evaluation_files import plain
    from brain_tumor_training.fit import FitRequest
    from brain_tumor_training.recipe import reported_values
    from brain_tumor_training.reproduction import Reproduction
    from brain_tumor_training.reproduction_report import page

    request = FitRequest(
        settings=read_recipe(arguments),
        cache=arguments.cache,
        run=arguments.run_folder,
        folds=arguments.folds,
        fold=arguments.fold,
        device=arguments.device,
        weights=arguments.weights,
        workers=arguments.workers,
    )
    prepare_cache(arguments)
    with step_bar() as on_progress:
        work = Reproduction(Path(arguments.recipe).stem, request, reported_values(arguments.recipe), arguments.seed)
        result = work.run(on_progress)
    print(page([plain(result)]))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.reproduction_report import write_report

    print(f"{arguments.output}: {write_report(arguments.runs, arguments.output)} reproductions")
    return 0
