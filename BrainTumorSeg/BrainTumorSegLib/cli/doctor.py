"""``braintumorseg doctor``: what this machine can run, and what to do about what it can't."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from BrainTumorSegLib.cli.paths import path
from BrainTumorSegLib.cli.store import add_models_option, open_store

EXIT_CANNOT_RUN = 2


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="say what this machine can run",
        description="Say what this machine can run, and what to do about what it can't. Exit code 0 when it can "
        f"segment (warnings included), {EXIT_CANNOT_RUN} when it can't.",
    )
    parser.add_argument("--output-folder", type=path, metavar="DIR", help="also look at where results would go")
    add_models_option(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.service.doctor import Status, examine

    findings = examine(partial(open_store, arguments), arguments.output_folder)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.status.value:<8} {finding.name:<{width}}  {finding.message}")
        if finding.remedy:
            print(f"{'':<8} {'':<{width}}  -> {finding.remedy}")
    has_problem = any(finding.status is Status.PROBLEM for finding in findings)
    print("This machine can't segment yet: see the problems above." if has_problem else "This machine can segment.")
    return EXIT_CANNOT_RUN if has_problem else 0
