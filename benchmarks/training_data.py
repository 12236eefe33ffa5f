"""Squares a second that the way of training data delivers: drawn, cut and changed, without a network.

    python benchmarks/training_data.py --side-px 192 [--device cuda] [--cache CACHE]

The recipe of the released segmentation at another side. Without a cache the slices are made up: heads of noise, a third
of them with a tumour; the work is the same. ``drawn`` are the numbers alone, ``cut`` those and their pixels. Processor
time is what this process used, all threads together: on a busy machine it says more than the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from brain_tumor_training.data.cache import CachedPatient, cached_names, load_cache
from brain_tumor_training.data.resident_slices import ResidentSlices
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.batches import BatchSource
from brain_tumor_training.fitting.distributed import BatchShare, Processes
from brain_tumor_training.fitting.slice_stream import SliceStream
from brain_tumor_training.recipes.recipe import load_recipe
from brain_tumor_training.recipes.settings import TrainingSettings
from BrainTumorSegLib.engine.inference.device import Compute, choose

SIZE_PX = 256
SLICES = 36
"""Of a made-up patient, as in the median of the training data."""

Deliver = Callable[[], Iterator[object]]
"""Yields one batch after another."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side-px", type=int, default=192, help="side of a square")
    parser.add_argument("--device", default="auto", help="as of braintumorseg-train")
    parser.add_argument("--cache", type=Path, help="arrays of braintumorseg-train instead of made-up ones")
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--batches", type=int, default=40, help="of 8 squares, in a measurement")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of which the median is taken")
    arguments = parser.parse_args()
    compute = choose(arguments.device)
    print(f"{compute.description}; {arguments.batches} batches of 8, median of {arguments.repeats}")
    pool = SlicePool.of_all(patients(arguments.cache, arguments.patients))
    settings = settings_of(arguments.side_px)
    for name, deliver in ways(pool, settings, compute, arguments.batches).items():
        spent = [seconds(deliver, compute) for _ in range(1 + arguments.repeats)][1:]
        wall_s, processor_s = (statistics.median(one) for one in zip(*spent, strict=True))
        squares = arguments.batches * settings.batch_size
        print(f"{name:8} {squares / wall_s:6.0f} squares a second, {squares / processor_s:6.0f} of processor time")


def patients(cache: Path | None, count: int) -> list[CachedPatient]:
    """The first patients of a cache, or made-up ones."""
    if cache is not None:
        return load_cache(cache, cached_names(cache)[:count], SIZE_PX)
    return [made_up(number) for number in range(count)]


def made_up(number: int) -> CachedPatient:
    """A disk of noise with a tumour in a third of its slices."""
    rng = np.random.default_rng(number)
    rows, columns = np.ogrid[:SIZE_PX, :SIZE_PX]
    head = np.hypot(rows - 128, columns - 128) < 100
    variants = np.where(head, rng.normal(0, 0.2, (2, 3, SLICES, SIZE_PX, SIZE_PX)), -1).astype(np.float16)
    mask = np.zeros((SLICES, SIZE_PX, SIZE_PX), np.bool_)
    mask[12:24] = np.hypot(rows - 100, columns - 150) < 20
    return CachedPatient(f"made up {number}", variants, mask)


def settings_of(side_px: int) -> TrainingSettings:
    """The released recipe with one phase of squares of this side."""
    settings = load_recipe("release_segmentation", {})
    phase = replace(settings.phases[0], crop_px=side_px)
    return replace(settings, phases=[phase], averaged_phases=1)


def ways(pool: SlicePool, settings: TrainingSettings, compute: Compute, batches: int) -> dict[str, Deliver]:
    """What is measured, by name."""
    phase = settings.phases[0]
    stream = SliceStream(pool, settings, phase.size_px, settings.seed, phase.crop_px)
    slices = ResidentSlices.of(pool, compute.device)
    source = BatchSource(settings, compute.device)
    share = BatchShare(batches, settings.batch_size, 0, Processes())
    return {
        "drawn": lambda: ([stream[number] for number in numbers] for numbers in share),
        "cut": lambda: (slices.cut([stream[number].cut for number in numbers], stream.side_px) for numbers in share),
        "changed": lambda: source.of_phase(pool, 0, share),
    }


def seconds(deliver: Deliver, compute: Compute) -> tuple[float, float]:
    """By the clock and of processor time, until all batches are there and the device has done its work."""
    started_s, used_s = time.perf_counter(), time.process_time()
    for _ in deliver():
        pass
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
    return time.perf_counter() - started_s, time.process_time() - used_s


if __name__ == "__main__":
    main()
