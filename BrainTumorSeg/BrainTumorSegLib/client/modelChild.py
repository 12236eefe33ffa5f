"""One piece of work on the installed models, in a child process: ``python -m BrainTumorSegLib.client.modelChild``.

Slicer's own process neither reads nor writes model files, so that a slow disk or network never holds up the interface
and no package but Slicer's own is needed there. Answers on stdout in the worker's protocol, one JSON object a line:
``progress`` while downloading, then ``done`` with ``{"models": [...], "message": ...}`` or ``error``. Killing it is
safe: a file appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.engine.files import output_errors
from BrainTumorSegLib.engine.models.store import ModelStore

Emit = Callable[[dict[str, Any]], None]


def main(arguments: Sequence[str], emit: Emit) -> int:
    """Do ``[id, action, *operands]`` and report it through ``emit``. Returns the exit status, 0 when it went well."""
    identifier, action, *operands = arguments

    def send(event: str, **content: Any) -> None:
        emit({"id": identifier, "event": event, **content})

    try:
        store = ModelStore.default()
        message = _ACTIONS[action](store, send, *operands)
        send("done", models=_states(store), message=message)
    except BrainTumorSegError as error:
        send("error", kind=error.kind, message=error.message, action=error.action)
        return error.exit_code
    return 0


def _states(store: ModelStore) -> list[dict[str, Any]]:
    return [{"name": entry.name, "state": store.state(entry.name).value} for entry in store.entries()]


def _list(_store: ModelStore, _send: Callable[..., None]) -> str:
    return ""


def _download(store: ModelStore, send: Callable[..., None], name: str = "") -> str:
    """A segmentation model comes with the slice classifier that it names."""
    entries = store.index.needed(name or None)
    total_bytes = sum(each.size_bytes for each in entries)
    before_bytes = 0
    for each in entries:

        def report(done_bytes: int, _total_bytes: int, before_bytes: int = before_bytes) -> None:
            send("progress", stage="download", fraction=min(1.0, (before_bytes + done_bytes) / total_bytes))

        store.download(each.name, report, lambda: False)
        before_bytes += each.size_bytes
    return f"Downloaded and verified: {', '.join(each.name for each in entries)}."


def _import(store: ModelStore, _send: Callable[..., None], path: str) -> str:
    entry = store.import_file(Path(path))
    return f"Imported and verified: {entry.name} {entry.version}."


def _verify(store: ModelStore, _send: Callable[..., None], name: str) -> str:
    store.verify(name)
    return f"{name} is whole: its SHA-256 is the published one."


def _remove(store: ModelStore, _send: Callable[..., None], name: str) -> str:
    store.remove(name)
    return f"Removed {name}."


def _removeAll(store: ModelStore, _send: Callable[..., None]) -> str:
    """Everything in this user's cache, partial downloads included; a source checkout's own files stay."""
    if store.cache_folder.exists():
        with output_errors(store.cache_folder):
            shutil.rmtree(store.cache_folder)
            # Its own folder goes too, unless somebody keeps something else there.
            if not any(store.home.iterdir()):
                store.home.rmdir()
        return "Removed every downloaded model from this computer."
    return "No downloaded model was on this computer."


_ACTIONS: dict[str, Callable[..., str]] = {
    "list": _list,
    "download": _download,
    "import": _import,
    "verify": _verify,
    "remove": _remove,
    "removeAll": _removeAll,
}


def _emitLine(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _emitLine))
