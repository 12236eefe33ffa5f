"""``braintumorseg compare``: how far two labelmaps agree."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "compare",
        parents=[common],
        help="compare two segmentations",
        description="Compare two segmentations: Dice, 95th percentile of the surface distances, change of volume. "
        "Files: a .seg.nrrd of 3D Slicer or any labelmap; what is not 0 counts. B is brought to the grid of A.",
    )
    parser.add_argument("first", type=Path, metavar="A", help="the reference, or the earlier one")
    parser.add_argument("second", type=Path, metavar="B", help="what is compared with it, or the later one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from BrainTumorSegLib.engine.measurement.comparison import compare
    from BrainTumorSegLib.engine.study.labelmap import read_labelmap

    found = compare(read_labelmap(arguments.first), read_labelmap(arguments.second))
    if arguments.json:
        print(json.dumps(asdict(found), indent=2, allow_nan=False))
        return 0
    distance = (
        "none, for one has nothing in the field of view of A" if found.hd95_mm is None else f"{found.hd95_mm:.2f} mm"
    )
    percent = "" if found.change_percent is None else f" ({_signed(found.change_percent, 1)} %)"
    print(f"Dice          {found.dice:.4f}")
    print(f"HD95          {distance}")
    print(f"volume        {found.first_ml:.2f} mL, then {found.second_ml:.2f} mL")
    print(f"change        {_signed(found.change_ml, 2)} mL{percent}")
    print(f"only in A     {found.only_first_ml:.2f} mL")
    print(f"only in B     {found.only_second_ml:.2f} mL")
    if found.outside_ml > 0:
        print(f"outside A     {found.outside_ml:.2f} mL of B, which no number but its volume counts")
    return 0


def _signed(value: float, decimals: int) -> str:
    """With its sign, as rounded: nothing is never negative."""
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"
