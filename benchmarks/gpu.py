"""Time by stage of warm runs of a 36-slice study on one GPU, from files to files, and whether the aim is reached.

    python benchmarks/gpu.py docs/performance.md

As bench.py measures on the processor: medians after a first run that does not count, as many threads as the machine
has for what the processor does. With the model's gate and without, averaged with the mirrored view.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from bench import SEQUENCES, SLICES, machine, warm_runs
from BrainTumorSegLib.engine.inference.device import choose
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.models.loading import load_model
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.settings import SegmentSettings
from page import replace_part, table
from studies import sample_of_size

AIM_S = 0.35
GATE = "the model's gate"


def main() -> None:
    """Measures and writes the page's part 'gpu'. Ends with InputError where the GPU is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--device", default="cuda", help="which GPU, as for the program (default: cuda)")
    parser.add_argument("--repeats", type=int, default=9, help="warm runs of which the median is taken")
    arguments = parser.parse_args()
    before, compute = machine(), choose(arguments.device)
    segmenter = Segmenter(load_model(ModelStore.default()), compute)
    columns: dict[str, dict[str, str]] = {}
    totals_s = []
    with tempfile.TemporaryDirectory() as name:
        paths = sample_of_size(Path(name), (256, 256, SLICES), SEQUENCES)
        for gate in (None, 0.0):
            torch.cuda.reset_peak_memory_stats(compute.device)
            settings = SegmentSettings(gate=gate)
            medians_s, result = warm_runs(segmenter, paths, Path(name), settings, arguments.repeats)
            totals_s.append(medians_s["total"])
            segmented = sum(scored.segmented for scored in result.slices)
            title = f"{'gate off' if gate == 0 else GATE}: {segmented} of {SLICES} slices"
            columns[title] = {stage: f"{value:.3f} s" for stage, value in medians_s.items()}
            peak_mb = torch.cuda.max_memory_allocated(compute.device) / 1e6
            columns[title]["peak memory of the GPU"] = f"{peak_mb:.0f} MB"
    stages = next(iter(columns.values()))
    rows = [[stage, *(column[stage] for column in columns.values())] for stage in stages]
    reached = "reached" if totals_s[0] <= AIM_S else "not reached"
    verdict = f"Aim: at most {AIM_S} s with the model's gate. It is {totals_s[0]:.2f} s: {reached}."
    measured = f"{compute.description}, torch {torch.__version__}."
    header = [f"warm, medians of {arguments.repeats}", *columns]
    text = "\n\n".join([before, measured, table(header, rows), verdict])
    print(text)
    replace_part(arguments.page, "gpu", text)


if __name__ == "__main__":
    main()
