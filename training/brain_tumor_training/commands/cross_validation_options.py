"""What the commands take that cross-validate, how it is understood, and how it is shown."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from brain_tumor_training.commands.evaluation_options import add_running_options, patient_bar, program_settings
from brain_tumor_training.commands.training_options import (
    add_data_options,
    add_run_options,
    fit_request,
    parse_changes,
    step_bar,
)

if TYPE_CHECKING:
    from brain_tumor_training.releasing.cross_validation import CrossValidation


def add_cross_validation_options(parser: argparse.ArgumentParser) -> None:
    """What to train for each fold, and how to measure it."""
    add_data_options(parser)
    add_run_options(parser, "folder for all runs and results")
    parser.add_argument("--classifier", metavar="RECIPE", help="recipe of the slice classifier (default: no gate)")
    parser.add_argument(
        "--refine",
        nargs="*",
        metavar="ID=VALUE",
        help="add a 3D correction network to each fold's network; its settings, such as steps=1000",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_running_options(parser)


def cross_validation_of(arguments: argparse.Namespace) -> CrossValidation:
    """What to train and to measure. Raises InputError without data or folds."""
    from brain_tumor_training.recipes.recipe import load_recipe
    from brain_tumor_training.refinement.settings import changed_settings
    from brain_tumor_training.releasing.cross_validation import CrossValidation, FoldTraining
    from BrainTumorSegLib.engine.errors import InputError

    if arguments.folds is None or arguments.data is None:
        raise InputError("Cross-validation needs the data as studies, and folds.", "Give --data and --folds.")
    training = FoldTraining(
        base=fit_request(arguments),
        folds=arguments.folds,
        classifier=load_recipe(arguments.classifier) if arguments.classifier else None,
        refinement=None if arguments.refine is None else changed_settings(parse_changes(arguments.refine)),
    )
    about = {"recipe": arguments.recipe, "classifier": arguments.classifier, "refined": arguments.refine}
    return CrossValidation(training, arguments.data, program_settings(arguments), arguments.seed, about)


def run_shown(validation: CrossValidation) -> None:
    """Trains and measures, with bars on a terminal, and prints the table."""
    from brain_tumor_training.evaluation.files import table

    with step_bar() as on_progress:
        runs = validation.train(on_progress)
    with patient_bar() as on_patient:
        print(table(validation.measure(runs, on_patient).summary))
