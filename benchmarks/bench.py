"""Time by stage and peak memory of a 36-slice study on two CPU threads, beside floors and other programs.

    make bench                                               all of it, into docs/performance.md too
    python benchmarks/bench.py --repeats 7 --release DIR     without the others

Cold is the command line from process start to written files. Warm is what the second click costs: everything but
loading, in one process, median of the repeats. Floors are what this machine's threads could do at best. Of the
networks: every operation takes as long as its arithmetic at the rate of a large matrix product in its precision, or as
long as its numbers at the rate of a large copy, whichever is more (Williams, Waterman and Patterson, "Roofline", CACM
52, 2009). Of reading and writing: the (de)compression alone. Of what is between: reading and writing its arrays once.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import torch

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.inference.device import Compute, cpu_has_bfloat16
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.loading import load_model
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.output.writing import OutputPaths, write_result
from BrainTumorSegLib.engine.settings import SegmentSettings
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from floors import Roofline, copy_bytes_per_s, matrix_flops_per_s, seconds
from memory import segment as segment_cold
from page import replace_part, table
from studies import sample_of_size

THREADS = 2
SLICES = 36
SEQUENCES = ("flair", "t1", "t1c")
PEER_OF_THE_AIM, AIM = "nnU-Net", 20

Paths = dict[str, Path]


@dataclass(frozen=True)
class Warm:
    """What was measured of warm runs. medians_s, floors_s: by stage. gmac: of all networks together. segmented:
    slices that the gate let through."""

    precision: str
    gate: float | None
    medians_s: dict[str, float]
    floors_s: dict[str, float]
    gmac: float
    segmented: int
    peak_mb: float

    @property
    def name(self) -> str:
        """For people."""
        gate = "gate off" if self.gate == 0 else "the model's gate"
        return f"{self.precision}, {gate}: {self.segmented} of {SLICES} slices"

    @property
    def network_s(self) -> float:
        """Of the stages that are mostly networks."""
        return sum(self.medians_s[stage] for stage in ("classify", "segment"))


def main() -> None:
    """Measures, prints, and writes the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="warm runs of which the median is taken")
    parser.add_argument("--release", type=Path, help="folder with the models to measure (default: the installed ones)")
    parser.add_argument(
        "--tta", action=argparse.BooleanOptionalAction, default=True, help="warm runs average with the mirrored view"
    )
    parser.add_argument(
        "--peers", type=Path, help="the Python that has the other programs; without it they are left out"
    )
    parser.add_argument("--peer-repeats", type=int, default=3, help="their runs of which the median is taken")
    parser.add_argument("--page", type=Path, help="the page whose part 'bench' becomes what is printed")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    if arguments.release is not None:
        os.environ["BRAINTUMORSEG_MODELS"] = str(arguments.release)  # for the processes that measure
    parts = [machine(), _isolated(rates)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = sample_of_size(folder, (256, 256, SLICES), (*SEQUENCES, "reference"))
        del paths["reference"]
        cold_s, _, cold_bytes = segment_cold(paths, folder)
        precisions = ["float32", "bfloat16"] if cpu_has_bfloat16() else ["float32"]
        runs = [
            _isolated(warm, paths, folder, precision, gate, arguments.tta, arguments.repeats)
            for precision in precisions
            for gate in (None, 0.0)
        ]
        parts += [
            own_table(runs, arguments.repeats),
            f"Cold, by the command: {cold_s:.1f} s, {cold_bytes / 1e6:.0f} MB.",
        ]
        if arguments.peers is not None:
            peers = measured_peers(arguments.peers, folder, arguments.peer_repeats)
            parts += [peer_table(runs, peers, arguments.peer_repeats), verdict(runs, peers)]
    text = "\n\n".join(parts)
    print(text)
    if arguments.page is not None:
        replace_part(arguments.page, "bench", text)


def machine() -> str:
    """What this was measured on."""
    memory_gb = psutil.virtual_memory().total / 2**30
    return (
        f"{date.today()}, BrainTumorSeg {__version__}, {_processor()}, {os.cpu_count()} cores, {memory_gb:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}; load before the run {os.getloadavg()[0]:.1f}."
    )


def rates() -> str:
    """What THREADS threads do at best, a sentence."""
    torch.set_num_threads(THREADS)
    flops_per_s = matrix_flops_per_s(torch.float32)
    return (
        f"{THREADS} threads, torch {torch.__version__}: products of matrices {flops_per_s / 1e9:.0f} GFLOP/s in "
        f"float32, copies {copy_bytes_per_s() / 1e9:.1f} GB/s."
    )


def warm(paths: Paths, folder: Path, precision: str, gate: float | None, tta: bool, repeats: int) -> Warm:
    """The median of the repeats after a first run that does not count; the floors from a further one."""
    segmenter = cpu_segmenter(precision)
    settings = SegmentSettings(gate=gate, tta=tta)
    medians_s, result = warm_runs(segmenter, paths, folder, settings, repeats)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    dtypes = {torch.float32, getattr(torch, precision)}
    roofline = Roofline({dtype: matrix_flops_per_s(dtype) for dtype in dtypes}, copy_bytes_per_s())
    begins: dict[str, float] = {}
    with roofline:
        segmenter.segment(result.study, settings, lambda stage, _: begins.setdefault(stage, roofline.seconds))
    floors_s = other_floors(paths, result)
    floors_s["classify"] = begins["segment"] - begins["classify"]
    floors_s["segment"] = begins["postprocess"] - begins["segment"]
    floors_s["total"] = sum(floors_s.values())
    chosen = sum(scored.segmented for scored in result.slices)
    return Warm(precision, gate, medians_s, floors_s, roofline.flops / 2e9, chosen, peak_mb)


def cpu_segmenter(precision: str) -> Segmenter:
    """With the installed models, on THREADS threads."""
    torch.set_num_threads(THREADS)
    return Segmenter(load_model(ModelStore.default()), Compute(torch.device("cpu"), getattr(torch, precision), "CPU"))


def warm_runs(
    segmenter: Segmenter, paths: Paths, folder: Path, settings: SegmentSettings, repeats: int
) -> tuple[dict[str, float], Result]:
    """Median seconds by stage, after a first run that does not count; and the last result."""
    runs = []
    for _ in range(repeats + 1):
        timings_s, result = timed_run(segmenter, paths, folder, settings)
        runs.append(timings_s)
    return {stage: statistics.median(run[stage] for run in runs[1:]) for stage in runs[0]}, result


def timed_run(
    segmenter: Segmenter, paths: Paths, folder: Path, settings: SegmentSettings
) -> tuple[dict[str, float], Result]:
    """Seconds by stage from files to files, and the result."""
    outputs = OutputPaths(folder / "o.seg.nrrd", report=folder / "o.json", preview=folder / "o.png")
    started = time.perf_counter()
    study = read_study(StudyPaths(*(paths[name] for name in SEQUENCES)))
    read = time.perf_counter()
    result = segmenter.segment(study, settings)
    segmented = time.perf_counter()
    write_result(result, outputs)
    end = time.perf_counter()
    timings = {"read": read - started, **result.timings_s, "write": end - segmented, "total": end - started}
    return timings, result


def other_floors(paths: Paths, result: Result) -> dict[str, float]:
    """Of the stages without a network."""
    files = [path.read_bytes() for path in paths.values()]
    moved_bytes = {
        "preprocess": 2 * len(paths) * result.probability.nbytes,
        "postprocess": 2 * result.probability.nbytes + result.mask.nbytes,
    }
    return {
        "read": seconds(lambda: [gzip.decompress(file) for file in files]),
        "write": seconds(lambda: gzip.compress(result.mask.tobytes(), 1)),
        **{stage: moved / copy_bytes_per_s() for stage, moved in moved_bytes.items()},
    }


def own_table(runs: list[Warm], repeats: int) -> str:
    """A row a stage and a column a kind of run: its time, and in brackets its floor."""
    header = [f"warm, medians of {repeats} (floor)", *(run.name for run in runs)]
    rows = [
        [stage, *(f"{run.medians_s[stage]:.3f} s ({run.floors_s[stage]:.3f} s)" for run in runs)]
        for stage in runs[0].medians_s
    ]
    rows.append(["total, times its floor", *(f"{run.medians_s['total'] / run.floors_s['total']:.1f}" for run in runs)])
    rows.append(["peak memory", *(f"{run.peak_mb:.0f} MB" for run in runs)])
    return table(header, rows)


def measured_peers(python: Path, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """What peers.py says of each."""
    command = [str(python), str(Path(__file__).with_name("peers.py")), str(folder)]
    options = ["--repeats", str(repeats), "--threads", str(THREADS)]
    done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def peer_table(runs: list[Warm], peers: list[dict[str, Any]], repeats: int) -> str:
    """A row a program; the last column compares with the first row, by the networks where there is no whole program."""
    header = [f"beside others: medians of {repeats}", "sees", "GMAC", "networks and window (floor)"]
    header += ["files to files", "peak memory", "times the first row"]
    rows = []
    for run in runs:
        floor = run.floors_s["classify"] + run.floors_s["segment"]
        sees = f"{run.name}, twice (mirrored); the classifier all"
        rows.append(["BrainTumorSeg", sees, run.gmac, run.network_s, floor, run.medians_s["total"], run.peak_mb])
    for peer in peers:
        rows.append([peer[key] for key in ("name", "sees", "gmac", "network_s", "floor_s", "end_to_end_s", "peak_mb")])
    first = runs[0]
    cells = []
    for name, sees, gmac, network_s, floor_s, whole_s, peak_mb in rows:
        ratio = network_s / first.network_s if whole_s is None else whole_s / first.medians_s["total"]
        whole = "" if whole_s is None else f"{whole_s:.2f} s"
        measured = [f"{network_s:.2f} s ({floor_s:.2f} s)", whole]
        cells.append([name, sees, f"{gmac:.0f}", *measured, f"{peak_mb:.0f} MB", f"{ratio:.1f}"])
    return table(header, cells)


def verdict(runs: list[Warm], peers: list[dict[str, Any]]) -> str:
    """Whether the aim is reached, by the fastest precision with the model's gate."""
    peer_s = next(peer["end_to_end_s"] for peer in peers if peer["name"].startswith(PEER_OF_THE_AIM))
    own_s = min(run.medians_s["total"] for run in runs if run.gate is None)
    reached = "reached" if own_s * AIM <= peer_s else "not reached"
    return f"Aim: at most 1/{AIM} of {PEER_OF_THE_AIM} 2D from files to files. It is 1/{peer_s / own_s:.1f}: {reached}."


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _isolated(function: Callable[..., Any], *arguments: object) -> Any:
    """Runs a function in a fresh process, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


if __name__ == "__main__":
    main()
