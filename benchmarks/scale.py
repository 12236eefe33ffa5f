"""What a study of a batch costs, and how it scales with workers; writes the measured part of a page.

python benchmarks/scale.py docs/scale.md [--studies 8] [--workers 1 2]

Every study is the synthetic sample (26 slices of 256 x 256, three sequences), by the shipped program with the installed
models. CPU seconds, memory and bytes are those of the worker processes, summed over all; loading the model is counted
apart. Studies an hour and core are by CPU seconds. Wall time means something on a quiet machine only; the load of the
machine is written beside it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "BrainTumorSeg"))

from BrainTumorSegLib.client.workers import LocalWorkers  # noqa: E402
from BrainTumorSegLib.engine.models.store import ModelStore  # noqa: E402
from BrainTumorSegLib.engine.sample.study import write_sample  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.batch import Step, run_batch  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.plan import batch_of, plan_of  # noqa: E402
from BrainTumorSegLib.engine.settings import RunSettings  # noqa: E402

BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->"


@dataclass
class Cost:
    """What all workers used. peak_bytes: of the largest of them. read_bytes: through system calls, caches included."""

    cpu_s: float = 0.0
    peak_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class Meter(threading.Thread):
    """Looks at the worker processes of this process again and again, until told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._of_process: dict[int, Cost] = {}
        self._is_over = threading.Event()

    def run(self) -> None:
        """Measure."""
        while not self._is_over.wait(0.05):
            self.look()

    def look(self) -> Cost:
        """The sum over all workers so far."""
        for child in psutil.Process().children(recursive=True):
            try:
                times, memory, traffic = child.cpu_times(), child.memory_info(), child.io_counters()
            except psutil.Error:
                continue
            peak = max(memory.rss, self._of_process.get(child.pid, Cost()).peak_bytes)
            self._of_process[child.pid] = Cost(times.user + times.system, peak, traffic.read_chars, traffic.write_chars)
        found = list(self._of_process.values())
        return Cost(
            sum(each.cpu_s for each in found),
            max((each.peak_bytes for each in found), default=0),
            sum(each.read_bytes for each in found),
            sum(each.written_bytes for each in found),
        )

    def stop(self) -> None:
        """No further look."""
        self._is_over.set()
        self.join()


def main() -> None:
    """Measure with each number of workers and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_sample(folder / "sample").flair.parent
        (source / "reference.nii.gz").unlink()
        for number in range(arguments.studies):
            shutil.copytree(source, folder / "in" / f"s{number:03d}")
        rows = [measure(folder, arguments.studies, workers) for workers in arguments.workers]
    table = "\n".join(
        [
            "| workers | threads each | studies | wall s a study | CPU s a study | studies an hour and core "
            "| CPU s to load | peak MB a worker | MB read a study | MB written a study | load of the machine |",
            f"|{'---|' * 11}",
            *rows,
        ]
    )
    text = arguments.page.read_text(encoding="utf-8")
    cores = f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB of memory."
    block = f"{BEGIN}`python benchmarks/scale.py {arguments.page}`, {cores}\n\n{table}\n{END}"
    arguments.page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


def measure(folder: Path, count: int, workers: int) -> str:
    """One batch; its row of the table. What ends before the first study is the loading."""
    out = folder / f"out{workers}"
    studies, settings = plan_of(folder / "in", out), RunSettings(device="cpu")
    batch = batch_of(studies, out, settings, ModelStore.default(), with_probability=False, redo=False)
    meter = Meter()
    at_first: list[tuple[float, Cost]] = []

    def on_step(step: Step) -> None:
        if step.ended == workers and not at_first:
            at_first.append((time.monotonic(), meter.look()))

    local = LocalWorkers([sys.executable, "-m", "BrainTumorSegLib", "worker"], _environment(), workers)
    meter.start()
    load = os.getloadavg()[0]
    run_batch(batch, local, on_step, lambda: False)
    end_s = time.monotonic()
    whole = meter.look()
    meter.stop()
    begin_s, first = at_first[0]
    further = count - workers
    wall_s, cpu_s = (end_s - begin_s) / further, (whole.cpu_s - first.cpu_s) / further
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    return (
        f"| {workers} | {threads} | {count} | {wall_s:.2f} | {cpu_s:.2f} | {3600 / cpu_s:.0f} "
        f"| {first.cpu_s / workers - cpu_s:.1f} | {whole.peak_bytes / 1e6:.0f} "
        f"| {(whole.read_bytes - first.read_bytes) / further / 1e6:.2f} "
        f"| {(whole.written_bytes - first.written_bytes) / further / 1e6:.2f} | {load:.1f} |"
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "BrainTumorSeg")}


if __name__ == "__main__":
    main()
