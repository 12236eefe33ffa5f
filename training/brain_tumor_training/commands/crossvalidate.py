"""``braintumorseg-train crossvalidate``: every fold trained, exported, and evaluated through the shipped command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.evaluate import add_segment_options, segment_options
from brain_tumor_training.commands.fit import add_data_options, prepare_cache, read_recipe, step_bar


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "crossvalidate",
        parents=[common],
        help="train and evaluate on every fold",
        description="Train on all folds but one and evaluate on that one, for every fold. The same command goes on "
        "with an interrupted cross-validation.",
    )
    add_data_options(parser)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="folder for all runs", dest="run_folder")
    parser.add_argument("--classifier", metavar="RECIPE", help="recipe of the slice classifier (default: no gate)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_segment_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.crossvalidation import CrossValidation
    from brain_tumor_training.evaluation import summarise
    from brain_tumor_training.evaluation_files import table
    from brain_tumor_training.fit import FitRequest
    from brain_tumor_training.recipe import load_recipe
    from BrainTumorSegLib.engine.errors import InputError

    if arguments.folds is None or arguments.data is None:
        raise InputError("Cross-validation needs the data as studies, and folds.", "Give --data and --folds.")
    base = FitRequest(
        settings=read_recipe(arguments),
        cache=arguments.cache,
        run=arguments.run_folder,
        device=arguments.device or "auto",
        weights=arguments.weights,
        workers=arguments.workers,
    )
    classifier = load_recipe(arguments.classifier) if arguments.classifier else None
    prepare_cache(arguments)
    work = CrossValidation(
        base, arguments.folds, classifier, arguments.data, segment_options(arguments), arguments.seed
    )
    with step_bar() as on_progress:
        outcomes = work.run(on_progress)
    print(table(summarise(outcomes, arguments.seed)))
    return 0
