"""``braintumorseg models``: list, download, import, verify and remove the models on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.cli.paths import path
from BrainTumorSegLib.cli.progress import byte_bar
from BrainTumorSegLib.cli.stopping import stop_requests
from BrainTumorSegLib.cli.store import add_models_option, open_store

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.models.index import ModelEntry
    from BrainTumorSegLib.engine.models.store import ModelStore

COLUMNS = ("name", "version", "state", "size", "licence", "title")


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar: one action each."""
    parser = commands.add_parser(
        "models",
        parents=[common],
        help="list, download, import, verify or remove models",
        description="The models on this machine. Their licence is not the software's: see WEIGHTS_LICENSE.md.",
    )
    add_models_option(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=text, description=text)
        add_models_option(action)
        action.set_defaults(run=run)
        return action

    names = "names of models (default: the default model and its slice classifier)"
    add("list", _list, "list the models and say which are installed")
    add("download", _download, "download models").add_argument("names", nargs="*", metavar="NAME", help=names)
    files = "model files, as published"
    add("import", _import, "install models from files").add_argument(
        "files", nargs="+", type=path, metavar="FILE", help=files
    )
    verify = add("verify", _verify, "check that models are whole")
    verify.add_argument("names", nargs="*", metavar="NAME", help="names of models (default: all that are installed)")
    add("remove", _remove, "delete models from this machine").add_argument("names", nargs="+", metavar="NAME")


def _list(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    rows = [COLUMNS, *(_row(store, entry) for entry in store.entries())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(store: ModelStore, entry: ModelEntry) -> tuple[str, ...]:
    default = " (default)" if entry.default else ""
    size = f"{entry.size_bytes / 1e6:.1f} MB"
    return entry.name, entry.version, store.state(entry.name).value, size, entry.licence, entry.title + default


def _download(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    # Several models may share a classifier: none is asked for twice.
    chosen = dict.fromkeys(entry for name in arguments.names or [None] for entry in store.index.needed(name))
    for entry in chosen:
        with stop_requests() as is_cancelled, byte_bar(entry.name) as on_progress:
            path = store.download(entry.name, on_progress, is_cancelled)
        print(f"{entry.name} {entry.version} is installed: {path}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    for file in arguments.files:
        entry = store.import_file(file)
        print(f"{entry.name} {entry.version} is installed.")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.models.store import ModelState

    store = open_store(arguments)
    present = [entry.name for entry in store.entries() if store.state(entry.name) is not ModelState.NOT_INSTALLED]
    for name in arguments.names or present:
        store.verify(name)
        print(f"{name} is whole.")
    if not arguments.names and not present:
        print("No model is installed.")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    for name in arguments.names:
        store.remove(name)
        print(f"{name} is removed.")
    return 0
