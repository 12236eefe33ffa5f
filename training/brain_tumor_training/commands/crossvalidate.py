"""``braintumorseg-train crossvalidate``: every fold trained, and every patient measured by the shipped program."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from brain_tumor_training.commands.evaluate import measure
from brain_tumor_training.commands.evaluation_options import add_running_options, patients_of
from brain_tumor_training.commands.training_options import (
    add_data_options,
    add_run_options,
    fit_request,
    parse_changes,
    prepare_cache,
    step_bar,
)

if TYPE_CHECKING:
    from brain_tumor_training.releasing.cross_validation import FoldTraining

EVALUATION = "evaluation"
"""Folder of the results, in the run folder."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "crossvalidate",
        parents=[common],
        help="train and evaluate on every fold",
        description="Train on all folds but one, for every fold; calibrate on training patients; measure every patient "
        "with the models that have not seen him, with the gate on and off. The same command goes on with an "
        "interrupted cross-validation (--resume: also with its evaluation).",
    )
    add_cross_validation_options(parser)
    parser.set_defaults(run=_run)


def add_cross_validation_options(parser: argparse.ArgumentParser) -> None:
    """What to train for each fold, and how to measure it."""
    add_data_options(parser)
    add_run_options(parser, "folder for all runs and results")
    parser.add_argument("--classifier", metavar="RECIPE", help="recipe of the slice classifier (default: no gate)")
    parser.add_argument(
        "--refine",
        nargs="*",
        metavar="ID=VALUE",
        help="add to each fold's network a part that sees the study; its settings, such as steps=1000",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_running_options(parser)


def cross_validate(arguments: argparse.Namespace) -> FoldTraining:
    """Trains every fold, measures every patient into evaluation/ of the run folder, prints the table.

    Raises InputError without data or folds.
    """
    from brain_tumor_training.evaluation.plan import Models
    from brain_tumor_training.recipes.recipe import load_recipe
    from brain_tumor_training.refinement.settings import changed_settings
    from brain_tumor_training.releasing.cross_validation import FoldTraining
    from BrainTumorSegLib.engine.errors import InputError

    if arguments.folds is None or arguments.data is None:
        raise InputError("Cross-validation needs the data as studies, and folds.", "Give --data and --folds.")
    base = fit_request(arguments)
    classifier = load_recipe(arguments.classifier) if arguments.classifier else None
    refinement = None if arguments.refine is None else changed_settings(parse_changes(arguments.refine))
    prepare_cache(arguments)
    training = FoldTraining(base, arguments.folds, classifier, refinement)
    with step_bar() as on_progress:
        runs = training.run(on_progress)
    arguments.gate_cost = classifier is not None
    about = {
        "recipe": arguments.recipe,
        "classifier": arguments.classifier,
        "refined": arguments.refine,
        "protocol": "patients",
    }
    print(measure(arguments, base.run / EVALUATION, patients_of(arguments), Models(runs=runs), about))
    return training


def _run(arguments: argparse.Namespace) -> int:
    cross_validate(arguments)
    return 0
