"""``braintumorseg worker``: the engine for other programs, as JSON lines on stdin and stdout."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from BrainTumorSegLib.cli.store import add_models_option, open_store


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "worker",
        parents=[common],
        help="serve other programs, as JSON lines on stdin and stdout",
        description="Serve other programs: one JSON request per line on stdin, one JSON event per line on stdout; logs "
        "go to stderr. Ends at the end of stdin.",
    )
    add_models_option(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.service.requests import WorkerCommands
    from BrainTumorSegLib.engine.service.server import claim_stdin, claim_stdout, serve

    with claim_stdout() as events:
        serve(claim_stdin(), events, WorkerCommands(partial(open_store, arguments)).table())
    return 0
