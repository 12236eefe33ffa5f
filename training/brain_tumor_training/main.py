"""The command ``braintumorseg-train``: parses, runs one command, returns its exit code (as ``braintumorseg`` does)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from brain_tumor_training.commands import (
    compare,
    crossvalidate,
    evaluate,
    export,
    fit,
    refine,
    release,
    reproduce,
    robustness,
)
from BrainTumorSegLib.engine.errors import Cancelled, InputError
from BrainTumorSegLib.engine.foreign_errors import translate

PROGRAM = "braintumorseg-train"


class _Parser(argparse.ArgumentParser):
    """Wrong usage is an error like any other: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (sys.argv by default) and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        chosen = build_parser().parse_args(arguments)
        # Of torchrun's processes, the first speaks for all.
        level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
        logging.basicConfig(level=level, format="%(asctime)s %(message)s")
        return chosen.run(chosen)
    except KeyboardInterrupt:
        return _render(Cancelled(), False)
    except Exception as error:  # noqa: BLE001 - the outermost edge: a defect too is told in a line
        return _render(error, "--debug" in arguments)


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar. Imports nothing heavy, so that --help is there at once."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show details of any error")
    parser = _Parser(
        prog=PROGRAM, description="Train, evaluate and export the models of BrainTumorSeg.", parents=[common]
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (fit, refine, evaluate, crossvalidate, compare, robustness, export, release, reproduce):
        command.add_parser(commands, common)
    return parser


def _render(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    known = translate(error)
    sys.stderr.write(f"{PROGRAM}: {' '.join(str(known).split())}\n")
    return known.exit_code


if __name__ == "__main__":
    sys.exit(main())
