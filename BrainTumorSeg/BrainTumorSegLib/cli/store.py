"""The option ``--models``: which folder of models a command uses."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from BrainTumorSegLib.cli.paths import path

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.models.store import ModelStore


def add_models_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--models`` to a command that uses models."""
    # SUPPRESS: given before an action of a command it must not be reset by the action's own default.
    parser.add_argument(
        "--models",
        type=path,
        metavar="FOLDER",
        default=argparse.SUPPRESS,
        help="folder with index.json and the models that it lists, to use instead (default: BRAINTUMORSEG_MODELS)",
    )


def open_store(arguments: argparse.Namespace) -> ModelStore:
    """The store of models that the command line asks for. Raises ModelError without a valid index."""
    from BrainTumorSegLib.engine.models.store import ModelStore

    folder: Path | None = getattr(arguments, "models", None)
    return ModelStore.default() if folder is None else ModelStore.default(models_folder=folder)
