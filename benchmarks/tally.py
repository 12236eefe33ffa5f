"""How often a fault was injected, and what came of it: a row of the page that benchmarks/reliability.py writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """One kind of fault. survived: how often the right thing was said or done and the next call worked."""

    fault: str
    injected: int
    survived: int
    lost: int = 0
    half_written: int = 0


def tally_table(tallies: Iterable[Tally]) -> str:
    """The table of all of them, with their sum."""
    rows = list(tallies)
    total = Tally(
        "all",
        sum(each.injected for each in rows),
        sum(each.survived for each in rows),
        sum(each.lost for each in rows),
        sum(each.half_written for each in rows),
    )
    lines = ["| fault | injected | survived | lost | half written |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.fault} | {each.injected} | {each.survived} | {each.lost} | {each.half_written} |"
        for each in (*rows, total)
    ]
    return "\n".join(lines) + "\n"
