"""Peak memory and time of whole studies through the command line, beside what the engine says they need.

    python benchmarks/memory.py                     # 256 x 256 x 36, 512 x 512 x 180, 512 x 512 x 512
    python benchmarks/memory.py 460x460x286         # another size, FLAIR alone and all three sequences

The synthetic head of ``braintumorseg sample`` at each size, from compressed NIfTI; all outputs but the probability are
written. CPU seconds count what other programs on the machine do not change.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from BrainTumorSegLib.engine.memory import needed_bytes
from studies import sample_of_size

SIZES = ("256x256x36", "512x512x180", "512x512x512")


def main() -> None:
    """Measures and prints a row for each study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="IxJxK", help=f"default: {' '.join(SIZES)}")
    parser.add_argument("--sequences", type=int, nargs="*", default=(1, 3), choices=(1, 3), help="default: 1 3")
    arguments = parser.parse_args()
    print(f"{'voxels':>14} {'sequences':>9} {'seconds':>8} {'CPU s':>7} {'peak GB':>8} {'said GB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            size_ijk = tuple(int(part) for part in size.split("x"))
            paths = sample_of_size(Path(folder), size_ijk, ("flair", "t1", "t1c")[: max(arguments.sequences)])
            for sequences in arguments.sequences:
                seconds, cpu_s, peak = segment(dict(list(paths.items())[:sequences]), Path(folder))
                said = needed_bytes(size_ijk, sequences) / 1e9
                print(f"{size:>14} {sequences:>9} {seconds:>8.1f} {cpu_s:>7.1f} {peak / 1e9:>8.2f} {said:>8.2f}")


def segment(paths: dict[str, Path], folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak bytes of one command, by the system's own count for the process."""
    inputs = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    outputs = ["--output", str(folder / "o.seg.nrrd"), "--report", str(folder / "o.json"), "--preview"]
    command = [sys.executable, "-m", "BrainTumorSegLib", "segment", *inputs, *outputs, str(folder / "o.png")]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"The command ended with status {status}.")
    print(json.dumps(json.loads((folder / "o.json").read_text())["timings_s"]), file=sys.stderr)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
