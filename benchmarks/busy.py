"""What a study takes beside other programs that keep every core busy, with the program's OpenMP setting and without.

    python benchmarks/busy.py docs/performance.md

One cold `braintumorseg segment` each on the sample's head in 36 slices with three sequences; the others do nothing but
count. GOMP_SPINCOUNT is how long a thread keeps its core while it waits; what OpenMP itself takes is 300,000.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import SEQUENCES, machine
from memory import segment
from page import replace_part, table
from studies import sample_of_size

OPENMPS_OWN = "300000"


def main() -> None:
    """Measures, prints, and writes the page's part 'busy'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=3, help="commands of which the median is taken")
    arguments = parser.parse_args()
    before, rows, cores = machine(), [], os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        paths = sample_of_size(Path(name), (256, 256, 36), SEQUENCES)
        for others in (0, cores):
            for setting in ("", OPENMPS_OWN):
                with busy(others), spinning(setting):
                    runs = [segment(paths, Path(name)) for _ in range(arguments.repeats)]
                wall_s, cpu_s = (statistics.median(run[column] for run in runs) for column in (0, 1))
                words = f"GOMP_SPINCOUNT={setting}" if setting else "as it is"
                rows.append([str(others), words, f"{wall_s:.1f} s", f"{cpu_s:.1f} s"])
    header = ["busy programs beside it", "OpenMP", f"median of {arguments.repeats}, cold", "processor time"]
    text = f"{before}\n\n{table(header, rows)}"
    print(text)
    replace_part(arguments.page, "busy", text)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that want a core each, within the block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextlib.contextmanager
def spinning(setting: str) -> Iterator[None]:
    """GOMP_SPINCOUNT for children of this process, within the block; "" leaves it to the program."""
    os.environ.pop("GOMP_SPINCOUNT", None)
    if setting:
        os.environ["GOMP_SPINCOUNT"] = setting
    yield
    os.environ.pop("GOMP_SPINCOUNT", None)


if __name__ == "__main__":
    main()
