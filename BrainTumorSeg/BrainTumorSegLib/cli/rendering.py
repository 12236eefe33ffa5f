"""How errors reach the user: one line on stderr with what happened, why and what to do, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from BrainTumorSegLib.engine.errors import Cancelled, Remedy
from BrainTumorSegLib.engine.foreign_errors import translate

REMEDIES = {
    Remedy.REGISTER: "The option --register on registers T1 and T1c to FLAIR.",
    Remedy.EXAMINE: "The command `braintumorseg doctor` examines this machine.",
}
"""The options and commands behind the engine's advice."""


@dataclass
class Outcome:
    """The exit code, known when the block has ended."""

    exit_code: int = 0


@contextmanager
def rendering_errors(debug: bool) -> Iterator[Outcome]:
    """Turn whatever the block raises into one line on stderr and an exit code; ``debug`` adds the traceback."""
    outcome = Outcome()
    try:
        yield outcome
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output (head, less) has enough. What is left in the buffer must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.exit_code = 1
    except KeyboardInterrupt:
        outcome.exit_code = _render(Cancelled(), debug)
    except Exception as error:  # noqa: BLE001 - the outermost edge: a defect too is told in a line
        outcome.exit_code = _render(error, debug)


def _render(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    known = translate(error)
    hint = REMEDIES[known.remedy] if known.remedy else ""
    print(f"braintumorseg: {' '.join(f'{known} {hint}'.split())}", file=sys.stderr)
    return known.exit_code
