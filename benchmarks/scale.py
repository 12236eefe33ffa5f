"""What a study of a batch costs, how it scales with workers, and what a million would cost; writes parts of a page.

python benchmarks/scale.py docs/scale.md [--studies 8] [--workers 1 2]     all of it
python benchmarks/scale.py docs/scale.md --many 5000                       many studies that take no time
python benchmarks/scale.py docs/scale.md --plan                            the plan alone, from the table on the page

Every study is the synthetic sample (26 slices of 256 x 256, three sequences), by the shipped program with the installed
models. CPU seconds, memory and bytes are those of the worker processes, summed over all; loading the model is counted
apart. Studies an hour and core are by CPU seconds. Wall time means something on a quiet machine only; the load of the
machine is written beside it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "BrainTumorSeg"))

from BrainTumorSegLib.client.workers import LocalWorkers  # noqa: E402
from BrainTumorSegLib.engine.models.store import ModelStore  # noqa: E402
from BrainTumorSegLib.engine.sample.study import write_sample  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.batch import Batch, Ended, Step, run_batch  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.plan import batch_of, plan_of  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.results import Record, new_folder, publish  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.rows import DONE, StudyRow  # noqa: E402
from BrainTumorSegLib.engine.service.cohort.task import StudyTask  # noqa: E402
from BrainTumorSegLib.engine.settings import RunSettings  # noqa: E402
from page import replace_part  # noqa: E402


@dataclass(frozen=True)
class Plan:
    """What is assumed of a cohort that nobody has run here. Sizes in MB, of one study; price in dollars."""

    studies: int = 1_000_000
    slices: int = 36
    measured_slices: int = 26
    dicom_mb: float = 3 * 36 * 512 * 512 * 2 / 1e6
    probability_mb: float = 2.0
    files: int = 4
    network_gbit_s: float = 10.0
    cores: int = 100
    dollars_a_core_hour: float = 0.05
    bad_inputs: float = 0.02
    hours_between_deaths: float = 1000.0

    def table(self, cpu_s: float, written_mb: float) -> str:
        """cpu_s, written_mb: of one study, as measured."""
        read_tb = self.studies * self.dicom_mb / 1e6
        study_s = cpu_s * self.slices / self.measured_slices
        core_hours = self.studies * study_s / 3600
        rows = {
            "reading": (
                f"{self.dicom_mb:.0f} MB a study (three DICOM sequences of {self.slices} slices, 512 x 512 x 2 bytes)",
                f"{read_tb:.0f} TB; {read_tb * 8000 / self.network_gbit_s / 3600:.0f} hours at "
                f"{self.network_gbit_s:.0f} Gbit/s",
            ),
            "results": (
                f"{written_mb:.2f} MB in {self.files} files a study",
                f"{self.studies * written_mb / 1e3:.0f} GB, {self.studies * self.files / 1e6:.0f} million files, "
                f"{self.studies / 1e6:.0f} million folders",
            ),
            "probability volumes, if asked for": (
                f"{self.probability_mb:.0f} MB a study",
                f"{self.studies * self.probability_mb / 1e6:.0f} TB",
            ),
            "computing": (
                f"{cpu_s:.1f} CPU s for {self.measured_slices} slices, so {study_s:.1f} s for {self.slices}",
                f"{core_hours:,.0f} core hours; {core_hours / self.cores:.0f} hours on {self.cores} cores",
            ),
            "price": (
                f"{self.dollars_a_core_hour} dollars a core hour, storage and traffic apart",
                f"{core_hours * self.dollars_a_core_hour:,.0f} dollars",
            ),
            "failures": (
                f"{self.bad_inputs:.0%} bad input",
                f"{self.studies * self.bad_inputs:,.0f} rows with reason and remedy",
            ),
            "workers that die": (
                f"one in {self.hours_between_deaths:,.0f} hours",
                f"{core_hours / self.hours_between_deaths:.1f} studies done again by another worker",
            ),
        }
        lines = [f"| | for one | for {self.studies:,} studies |", "|---|---|---|"]
        return "\n".join([*lines, *(f"| {name} | {one} | {all_} |" for name, (one, all_) in rows.items())])


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
    """Measure what is asked for and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--many", type=int, metavar="N")
    parser.add_argument("--plan", action="store_true")
    arguments = parser.parse_args()
    page = arguments.page
    with tempfile.TemporaryDirectory() as name:
        if arguments.many:
            command = f"`python benchmarks/scale.py {page} --many {arguments.many}`"
            replace_part(page, "many", f"{command}\n\n{many(Path(name), arguments.many)}")
        elif not arguments.plan:
            table = workers_table(Path(name), arguments.studies, arguments.workers)
            cores = f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB of memory."
            replace_part(page, "measured", f"`python benchmarks/scale.py {page}`, {cores}\n\n{table}")
    replace_part(page, "plan", Plan().table(*measured_on(page.read_text(encoding="utf-8"))))


def measured_on(text: str) -> tuple[float, float]:
    """CPU seconds and MB written a study, by the last row of the page's measured table."""
    cells = text.split("<!-- /measured -->")[0].strip().splitlines()[-1].split("|")
    return float(cells[5]), float(cells[10])


def workers_table(folder: Path, count: int, numbers: list[int]) -> str:
    """A row for each number of workers."""
    source = write_sample(folder / "sample").flair.parent
    (source / "reference.nii.gz").unlink()
    for number in range(count):
        shutil.copytree(source, folder / "in" / f"s{number:03d}")
    heading = (
        "| workers | threads each | studies | wall s a study | CPU s a study | studies an hour and core "
        "| CPU s to load | peak MB a worker | MB read a study | MB written a study | load of the machine |"
    )
    return "\n".join([heading, f"|{'---|' * 11}", *(measure(folder, count, workers) for workers in numbers)])


class Instant:
    """Workers whose studies take no time, so that what is left is the batch itself. Every tenth study fails."""

    def __init__(self) -> None:
        self.fractions = 0.0
        self._waiting: list[StudyTask] = []

    def start(self, settings: RunSettings, is_cancelled: Callable[[], bool]) -> None:
        """Ready."""

    @property
    def room(self) -> int:
        """A hundred at once."""
        return 100 - len(self._waiting)

    def submit(self, task: StudyTask) -> None:
        """Keep it until it is asked for."""
        self._waiting.append(task)

    def poll(self, wait_s: float) -> list[Ended]:
        """All of them, each with its folder."""
        del wait_s  # nothing is waited for
        tasks, self._waiting = self._waiting, []
        return [self._end(task) for task in tasks]

    def stop(self) -> None:
        """Nothing runs."""

    def _end(self, task: StudyTask) -> Ended:
        if task.name.endswith("0"):
            return Ended(task.name, None, "input", "FLAIR can't be read.", "Copy it again.")
        with new_folder(task.folder) as temporary:
            record = Record(task.batch, task.inputs_key, StudyRow(task.name, DONE))
            return Ended(task.name, publish(temporary, task.folder / task.name, record))


def many(folder: Path, count: int) -> str:
    """What the batch itself needs for many studies, the writing of each record included, and to look through them."""
    for number in range(count):
        (folder / "in" / f"s{number:06d}").mkdir(parents=True)
        (folder / "in" / f"s{number:06d}" / "flair.nii.gz").touch()
    rows = []
    for name in ("the first time", "called again"):
        begun_s = time.process_time()
        batch = Batch(plan_of(folder / "in", folder / "out"), folder / "out", RunSettings())
        outcome = run_batch(batch, Instant(), lambda _: None, lambda: False)
        milliseconds = (time.process_time() - begun_s) * 1000 / count
        memory_mb = psutil.Process().memory_info().rss / 1e6
        page_mb = outcome.page.stat().st_size / 1e6
        rows.append(f"| {name} | {count} | {milliseconds:.1f} | {memory_mb:.0f} | {page_mb:.1f} |")
    heading = "| | studies | CPU ms a study | memory (MB) | summary.html (MB) |"
    return "\n".join([heading, "|---|---|---|---|---|", *rows])


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
