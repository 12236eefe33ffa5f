"""The command ``braintumorseg``: parses, runs one command, returns its exit code.

Exit codes: 0 done (also when no tumour was found), 2 bad input or usage, 3 model missing or failed its verification,
4 out of memory, 5 cancelled, 1 a defect.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from BrainTumorSegLib import __version__
from BrainTumorSegLib.cli import batch, compare, doctor, models, sample, segment, worker
from BrainTumorSegLib.cli.rendering import rendering_errors
from BrainTumorSegLib.cli.stopping import interrupted_by_signals
from BrainTumorSegLib.engine.errors import InputError

PROGRAM = "braintumorseg"


class _Parser(argparse.ArgumentParser):
    """Wrong usage is an error like any other: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (sys.argv by default) and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with rendering_errors(debug="--debug" in arguments) as outcome, interrupted_by_signals():
        chosen = build_parser().parse_args(arguments)
        logging.basicConfig(
            level=logging.DEBUG if chosen.debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
        )
        logging.getLogger("filelock").setLevel(logging.WARNING)  # its details are paths, and those name patients
        outcome.exit_code = chosen.run(chosen)
    return outcome.exit_code


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar. Imports nothing heavy, so that --help is there at once."""
    common = argparse.ArgumentParser(add_help=False)
    # SUPPRESS: given before the command it must not be reset by the command's own default.
    common.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show details of any error")
    parser = _Parser(
        prog=PROGRAM,
        description="Brain-tumour segmentation of MR studies. For research; not a medical device.",
        parents=[common],
    )
    parser.set_defaults(debug=False)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (segment, batch, compare, models, doctor, worker, sample):
        command.add_parser(commands, common)
    return parser
