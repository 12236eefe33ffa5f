"""Time by stage and peak memory of a 36-slice study on two CPU threads, cold and warm, beside each stage's floor.

    make bench        or        python benchmarks/bench.py --repeats 7 --release DIR --no-tta

Cold is the command line from process start to written files. Warm is what the second click costs: everything but
loading, in one process, median of the repeats. The floor of a network stage is its multiplications over the rate of
a large matrix product at the same precision; that of reading and writing is the (de)compression alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = 2
SLICES = 36


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="warm runs of which the median is taken")
    parser.add_argument("--release", type=Path, help="folder with the models to measure (default: the installed ones)")
    parser.add_argument(
        "--tta", action=argparse.BooleanOptionalAction, default=True, help="warm runs average with the mirrored view"
    )
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    if arguments.release is not None:
        os.environ["BRAINTUMORSEG_MODELS"] = str(arguments.release)  # for the processes that measure
    measure(arguments.repeats, arguments.tta)


def measure(repeats: int, tta: bool) -> None:
    """Measures the installed models and prints."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _isolated(write_study, Path(folder))
        cold_s, cold_mb = _cold(paths, Path(folder))
        print(f"{SLICES} slices, {THREADS} threads, medians of {repeats} warm runs")
        print(f"\ncold, command line: {cold_s:.1f} s, peak {cold_mb:.0f} MB")
        for precision in _isolated(available_precisions):
            for gate in (None, 0.0):
                _report(_isolated(warm, paths, Path(folder), precision, gate, tta, repeats), precision, gate)


def write_study(folder: Path) -> dict[str, str]:
    """The sample study resampled to one grid of 36 slices of 256 x 256; paths by sequence."""
    import SimpleITK as sitk

    from BrainTumorSegLib.engine.sample.study import write_sample

    sample = write_sample(folder)
    flair = sitk.ReadImage(str(sample.flair))
    columns, rows, slices = flair.GetSize()
    thinner_mm = (*flair.GetSpacing()[:2], flair.GetSpacing()[2] * slices / SLICES)
    paths = {}
    for name in ("flair", "t1", "t1c"):
        image = sitk.ReadImage(str(getattr(sample, name)))
        paths[name] = str(folder / f"{name}_{SLICES}.nii.gz")
        grid = ((columns, rows, SLICES), sitk.Transform(), sitk.sitkLinear, flair.GetOrigin(), thinner_mm)
        sitk.WriteImage(sitk.Resample(image, *grid, flair.GetDirection()), paths[name])
    return paths


def available_precisions() -> list[str]:
    """What this CPU computes in by itself."""
    from BrainTumorSegLib.engine.inference.device import cpu_has_bfloat16

    return ["float32", "bfloat16"] if cpu_has_bfloat16() else ["float32"]


def warm(
    paths: dict[str, str], folder: Path, precision: str, gate: float | None, tta: bool, repeats: int
) -> dict[str, Any]:
    """Seconds by stage (medians), their floors, slices segmented, and the process' peak memory in MB."""
    import torch

    from BrainTumorSegLib.engine.inference.device import Compute
    from BrainTumorSegLib.engine.inference.segmenter import Segmenter
    from BrainTumorSegLib.engine.models.loading import load_model
    from BrainTumorSegLib.engine.models.store import ModelStore
    from BrainTumorSegLib.engine.output.writing import OutputPaths, write_result
    from BrainTumorSegLib.engine.settings import SegmentSettings
    from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

    torch.set_num_threads(THREADS)
    dtype = getattr(torch, precision)
    model = load_model(ModelStore.default())
    segmenter = Segmenter(model, Compute(torch.device("cpu"), dtype, "CPU"))
    study_paths = StudyPaths(*(Path(paths[name]) for name in ("flair", "t1", "t1c")))
    outputs = OutputPaths(folder / "o.seg.nrrd", None, folder / "o.json", folder / "o.png")
    runs: list[dict[str, float]] = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        study = read_study(study_paths)
        read = time.perf_counter()
        result = segmenter.segment(study, SegmentSettings(gate=gate, tta=tta))
        segmented = time.perf_counter()
        write_result(result, outputs)
        end = time.perf_counter()
        runs.append({"read": read - started, **result.timings_s, "write": end - segmented, "total": end - started})
    chosen = sum(scored.segmented for scored in result.slices)
    rate = _macs_per_second(dtype)
    networks = {"classify": (model.classifier, SLICES), "segment": (model.segmentation, chosen * (1 + tta))}
    floors = {name: _macs(bundle) * count / rate for name, (bundle, count) in networks.items() if bundle}
    floors["read"] = sum(_seconds(gzip.decompress, Path(path).read_bytes()) for path in paths.values())
    floors["write"] = _seconds(gzip.compress, result.mask.tobytes(), 1)
    medians = {stage: statistics.median(run[stage] for run in runs[1:]) for stage in runs[0]}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"medians": medians, "floors": floors, "segmented": chosen, "peak_mb": peak_mb}


def _macs(bundle: Any) -> float:
    """Multiplications of one slice in convolutions and dense layers, counted while it runs."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        bundle.network(torch.zeros(1, len(bundle.channels), bundle.size_px, bundle.size_px))
    return counter.get_total_flops() / 2


def _macs_per_second(dtype: Any) -> float:
    import torch

    n = 2048
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    return n**3 / min(_seconds(torch.matmul, a, b) for _ in range(5))


def _seconds(function: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def _cold(paths: dict[str, str], folder: Path) -> tuple[float, float]:
    inputs = [part for name, path in paths.items() for part in (f"--{name}", path)]
    outputs = ["--output", str(folder / "c.seg.nrrd"), "--report", str(folder / "c.json")]
    command = [
        sys.executable,
        "-m",
        "BrainTumorSegLib",
        "segment",
        *inputs,
        *outputs,
        "--preview",
        str(folder / "c.png"),
    ]
    seconds = _seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps(json.loads((folder / "c.json").read_text())["timings_s"]))
    return seconds, peak_mb


def _report(measured: dict[str, Any], precision: str, gate: float | None) -> None:
    gate_words = "gate off" if gate == 0 else "gate of the model"
    print(
        f"\nwarm, {precision}, {gate_words}: {measured['segmented']} of {SLICES} slices segmented, "
        f"peak {measured['peak_mb']:.0f} MB"
    )
    for stage, seconds in measured["medians"].items():
        floor = measured["floors"].get(stage)
        print(f"  {stage:12} {seconds:6.3f} s" + (f"   floor {floor:6.3f} s" if floor else ""))


def _isolated(function: Callable[..., Any], *arguments: object) -> Any:
    """Runs a function in a fresh process, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


if __name__ == "__main__":
    main()
