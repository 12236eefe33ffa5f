"""What every command that trains takes, and how it is understood: recipe, data, folds, device, run folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brain_tumor_training.fitting.fit import FitRequest
    from brain_tumor_training.fitting.trainer import Progress
    from brain_tumor_training.recipes.settings import TrainingSettings


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """What every command that trains takes."""
    parser.add_argument("recipe", metavar="RECIPE", help="name of a recipe of this package, or a YAML file")
    parser.add_argument("--data", type=Path, metavar="PATH", help="Kaggle's folder, or a CSV of your own NIfTI files")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="arrays made of the data once")
    parser.add_argument("--folds", type=Path, metavar="CSV", help="folds by patient")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="local file with the weights that the recipe starts from"
    )
    add_change_option(parser, "batch_size=8 or phases.0.epochs=3")


def add_change_option(parser: argparse.ArgumentParser, example: str) -> None:
    """Changes of settings, one by one."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="ID=VALUE", help=f"change a setting, such as {example}"
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """What to compute on."""
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:N or mps (default: auto)")


def add_run_options(parser: argparse.ArgumentParser, help_text: str) -> None:
    """The folder of a run, or of several."""
    # torchrun takes "--run" for its own --run-path abbreviated (argparse, Python 3.11): hence the longer name.
    parser.add_argument(
        "--run", "--run-folder", type=Path, required=True, metavar="DIR", help=help_text, dest="run_folder"
    )


def fit_request(arguments: argparse.Namespace) -> FitRequest:
    """What to train, for commands with the options above; a command without --fold trains on all."""
    from brain_tumor_training.fitting.fit import FitRequest

    return FitRequest(
        settings=read_recipe(arguments),
        cache=arguments.cache,
        run=arguments.run_folder,
        folds=arguments.folds,
        fold=getattr(arguments, "fold", None),
        device=arguments.device or "auto",
        weights=arguments.weights,
    )


def read_recipe(arguments: argparse.Namespace) -> TrainingSettings:
    """The recipe with the changes that were asked for."""
    from brain_tumor_training.recipes.recipe import load_recipe

    return load_recipe(arguments.recipe, parse_changes(arguments.set))


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """ID=VALUE texts as MONAI ids with YAML values. Raises InputError for another form."""
    import yaml

    from BrainTumorSegLib.engine.errors import InputError

    changes = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"'{text}' is no ID=VALUE.", "Write, for example, batch_size=8.")
        changes[key] = yaml.safe_load(value)
    return changes


@contextmanager
def step_bar() -> Iterator[Progress]:
    """Yields an on_progress that shows steps and loss, on a terminal and in the first process only."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    from brain_tumor_training.fitting.distributed import Processes

    hidden = None if Processes.of_environment().is_first else True
    with tqdm(unit="step", disable=hidden, leave=False) as bar, logging_redirect_tqdm():

        def show(done: int, total: int, loss: Callable[[], float]) -> None:
            bar.total = total
            if bar.update(done - bar.n):  # drawn anew, some ten times a second at most
                bar.set_postfix(loss=f"{loss():.4f}")

        yield show
