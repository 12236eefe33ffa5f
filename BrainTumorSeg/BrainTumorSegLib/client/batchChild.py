"""A batch for Slicer, in a child process: ``python -m BrainTumorSegLib.client.batchChild batch|plan ORDER``.

ORDER is a JSON object: ``inputs``, ``output``, ``settings`` (fields of ``RunSettings``), ``with_probability``,
``redo``, ``workers`` (a number or null) and ``worker`` (the command that starts one). Answers on stdout in the worker's
protocol: ``progress`` with ``stage``, ``fraction`` and, where a study has just ended, its ``row``; then ``done`` with
``summary``, or ``error``. Anything on stdin, and its end, cancels. ``plan`` needs the first two fields alone, segments
nothing, and ends in ``done`` with ``studies``: name, paths by sequence and what is ambiguous of each.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from BrainTumorSegLib.client.workers import LocalWorkers
from BrainTumorSegLib.engine.foreign_errors import translate
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service.cohort.batch import Step, run_batch
from BrainTumorSegLib.engine.service.cohort.plan import batch_of, plan_of
from BrainTumorSegLib.engine.service.server import claim_stdin, claim_stdout
from BrainTumorSegLib.engine.settings import RunSettings

Emit = Callable[[dict[str, Any]], None]


def main(arguments: Sequence[str], emit: Emit, stdin: BinaryIO) -> int:
    """Do what ``["batch" or "plan", order]`` asks for and report it through ``emit``. Returns the exit status."""
    identifier, order = arguments[0], json.loads(arguments[1])
    isCancelled = threading.Event()
    threading.Thread(target=_listen, args=(stdin, isCancelled), name="stdin", daemon=True).start()
    try:
        if identifier == "plan":
            emit({"id": identifier, "event": "done", "studies": _plan(order)})
            return 0
        summary = _do(order, lambda **content: emit({"id": identifier, **content}), isCancelled.is_set)
    except Exception as error:  # noqa: BLE001 - whatever it is, the panel has to be told
        known = translate(error)
        emit({"id": identifier, "event": "error", "kind": known.kind, "message": known.message, "action": known.action})
        return known.exit_code
    emit({"id": identifier, "event": "done", "summary": summary})
    return 0


def _plan(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": study.name,
            "files": {role.value: [str(path) for path in paths] for role, paths in study.candidates.items()},
            "problem": study.problem,
        }
        for study in plan_of(Path(order["inputs"]), Path(order["output"]))
    ]


def _do(order: dict[str, Any], send: Callable[..., None], isCancelled: Callable[[], bool]) -> str:
    inputs, output = Path(order["inputs"]), Path(order["output"])
    settings = RunSettings.chosen(order["settings"])
    studies = plan_of(inputs, output)
    batch = batch_of(studies, output, settings, ModelStore.default(), order["with_probability"], order["redo"])
    toldFraction = -1.0

    def onStep(step: Step) -> None:
        nonlocal toldFraction
        if step.row is not None or step.fraction - toldFraction >= 0.002:
            toldFraction = step.fraction
            row = {} if step.row is None else {"row": vars(step.row)}
            send(event="progress", stage="segment", fraction=round(step.fraction, 4), **row)

    return str(run_batch(batch, LocalWorkers(order["worker"], count=order["workers"]), onStep, isCancelled).summary)


def _listen(stdin: BinaryIO, isCancelled: threading.Event) -> None:
    stdin.read(1)
    isCancelled.set()


if __name__ == "__main__":
    with claim_stdout() as _events:

        def _emitLine(content: dict[str, Any]) -> None:
            _events.write(json.dumps(content) + "\n")
            _events.flush()

        sys.exit(main(sys.argv[1:], _emitLine, claim_stdin()))
