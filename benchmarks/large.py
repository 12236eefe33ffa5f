"""One large study by the command, beside the aim: 512 x 512 x 180 and three sequences in 15 s and 2.5 GB on two cores.

    python benchmarks/large.py docs/performance.md

The synthetic head of ``braintumorseg sample``, from compressed NIfTI; all outputs but the probability are written.
Processor time is what other programs on the machine hardly change.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from bench import SEQUENCES, THREADS, machine
from memory import segment
from page import replace_part, table
from studies import sample_of_size

SIZE_IJK = (512, 512, 180)
AIM_S, AIM_GB = 15.0, 2.5


def main() -> None:
    """Measures and writes the page's part 'large'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=3, help="commands of which the median is taken")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        paths = sample_of_size(Path(name), SIZE_IJK, SEQUENCES)
        runs = [segment(paths, Path(name)) for _ in range(arguments.repeats)]
    seconds, cpu_s, peak = (statistics.median(column) for column in zip(*runs, strict=True))
    row = [" × ".join(map(str, SIZE_IJK)), f"{seconds:.1f} s", f"{cpu_s:.1f} s", f"{peak / 1e9:.2f} GB"]
    header = ["three sequences, by the command", f"median of {arguments.repeats}", "processor time", "peak memory"]
    aim = ["aim", f"{AIM_S:.0f} s", "", f"{AIM_GB:.1f} GB"]
    text = "\n\n".join([before, table(header, [row, aim])])
    print(text)
    replace_part(arguments.page, "large", text)


if __name__ == "__main__":
    main()
