"""``braintumorseg sample``: a synthetic study to try things on."""

from __future__ import annotations

import argparse
from typing import Any

from BrainTumorSegLib.cli.paths import path


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "sample",
        parents=[common],
        help="write a synthetic study to try things on",
        description="Write a synthetic study (FLAIR, T1, T1 with contrast and the true mask), the same every time. "
        "It is made by a formula and shows no patient.",
    )
    parser.add_argument("folder", type=path, metavar="OUT_DIR", help="folder to write into; made if need be")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.sample.study import write_sample

    paths = write_sample(arguments.folder)
    for name in ("flair", "t1", "t1c", "reference"):
        print(f"{name:<13} {getattr(paths, name)}")
    return 0
