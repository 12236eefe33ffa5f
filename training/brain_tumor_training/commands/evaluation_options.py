"""What every command that measures models takes, and how it is understood: patients, models, ways to run them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from BrainTumorSegLib.engine.settings import DEVICE, OF_RESULT, REGISTER

if TYPE_CHECKING:
    from brain_tumor_training.evaluation.plan import Models, OnPatient, Patients, ProgramSettings


def add_patient_options(parser: argparse.ArgumentParser) -> None:
    """Whom to measure."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="Kaggle's folder, or a CSV of your own NIfTI files")
    parser.add_argument("--folds", type=Path, metavar="CSV", help="folds by patient; without it all patients are taken")
    parser.add_argument("--fold", type=int, metavar="K", help="the held-out fold (models of folds: default all)")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N patients only (of each fold)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """What to measure."""
    group = parser.add_argument_group("models (default: the installed ones)")
    group.add_argument("--model", metavar="NAME", help="name of the model (default: the default model)")
    group.add_argument("--release", type=Path, metavar="DIR", help="models of this folder")
    group.add_argument(
        "--segmentation-runs",
        metavar="PATTERN",
        help="runs of `fit --fold K`, {fold} standing for K: each fold is held out from its model",
    )
    group.add_argument("--classifier-runs", metavar="PATTERN", help="the same for slice classifiers (default: none)")
    group.add_argument("--cache", type=Path, metavar="DIR", help="the runs' cache; needed to calibrate them")


def add_running_options(parser: argparse.ArgumentParser) -> None:
    """How to run the shipped program, and with which of its own options."""
    parser.add_argument(
        "--cold",
        action="store_true",
        help="run `braintumorseg segment` in a fresh process for each study instead of one warm `braintumorseg worker`",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted call of the same program")
    group = parser.add_argument_group("passed on to braintumorseg")
    for choice in (DEVICE, *OF_RESULT, REGISTER):
        choice.add_option(group)


def patients_of(arguments: argparse.Namespace) -> Patients:
    """Whom to measure."""
    from brain_tumor_training.evaluation.plan import Patients

    return Patients(
        data=arguments.data,
        external=getattr(arguments, "external", None),
        folds=arguments.folds,
        fold=getattr(arguments, "fold", None),
        limit=getattr(arguments, "limit", None),
    )


def models_of(arguments: argparse.Namespace) -> Models:
    """What to measure. Raises InputError for models from two places."""
    from brain_tumor_training.bundles.fold_bundles import FoldRuns
    from brain_tumor_training.evaluation.plan import Models
    from BrainTumorSegLib.engine.errors import InputError

    if arguments.segmentation_runs is None:
        if arguments.classifier_runs is not None:
            raise InputError("A slice classifier alone can't be evaluated.", "Give --segmentation-runs too.")
        return Models(release=arguments.release)
    if arguments.release is not None or arguments.model is not None:
        raise InputError("Which models to evaluate is not clear.", "Give a release or runs of folds, not both.")
    return Models(
        runs=FoldRuns(
            arguments.segmentation_runs, arguments.classifier_runs, arguments.cache, arguments.device or "auto"
        )
    )


def program_settings(arguments: argparse.Namespace) -> ProgramSettings:
    """How the shipped program is run, and with which of its own options."""
    from brain_tumor_training.evaluation.plan import ProgramSettings
    from BrainTumorSegLib.engine.settings import RunSettings

    options = RunSettings.chosen(vars(arguments))
    return ProgramSettings(options, arguments.cold, arguments.resume)


@contextmanager
def patient_bar() -> Iterator[OnPatient]:
    """Yields on_patient(patients done, patients in all): a bar on a terminal."""
    from tqdm import tqdm

    with tqdm(desc="Evaluating", unit="patient", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
