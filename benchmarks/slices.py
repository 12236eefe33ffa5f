"""Whether time grows in proportion to slices: warm runs of the sample with 18 to 180 slices, and the line through them.

    python benchmarks/slices.py docs/performance.md

The same head in ever thinner slices, with the model's gate and the mirrored view, from files to files.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from bench import SEQUENCES, THREADS, cpu_segmenter, machine, warm_runs
from brain_tumor_training.metrics.charts import curves
from BrainTumorSegLib.engine.inference.device import cpu_has_bfloat16
from BrainTumorSegLib.engine.settings import SegmentSettings
from page import replace_part, table
from studies import sample_of_size

COUNTS = (18, 36, 72, 108, 144, 180)


def main() -> None:
    """Measures, draws, and writes the page's part 'slices'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=3, help="warm runs of which the median is taken")
    arguments = parser.parse_args()
    precision = "bfloat16" if cpu_has_bfloat16() else "float32"
    before, segmenter = machine(), cpu_segmenter(precision)
    totals_s, rows = [], []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            paths = sample_of_size(Path(name), (256, 256, count), SEQUENCES)
            medians_s, result = warm_runs(segmenter, paths, Path(name), SegmentSettings(), arguments.repeats)
        totals_s.append(medians_s["total"])
        segmented = sum(scored.segmented for scored in result.slices)
        rows.append([str(count), str(segmented), f"{totals_s[-1]:.2f} s", f"{totals_s[-1] / count * 1000:.0f} ms"])
    slope, offset = np.polyfit(COUNTS, totals_s, 1)
    line = offset + slope * np.array(COUNTS)
    picture = arguments.page.with_name(f"{arguments.page.stem}-slices.png")
    lines = {"measured": (COUNTS, totals_s), "line": (COUNTS, line.tolist())}
    picture.write_bytes(curves({f"{precision}, {THREADS} threads, warm": lines}, "slices", "seconds"))
    worst = float(np.max(np.abs(line - totals_s) / totals_s))
    said = f"{offset:.2f} s and {slope * 1000:.1f} ms a slice; no point is further than {worst:.0%} from this line."
    header = ["slices", "let through by the gate", f"median of {arguments.repeats}, files to files", "a slice"]
    text = "\n\n".join([before, said, f"![seconds by slices]({picture.name})", table(header, rows)])
    print(text)
    replace_part(arguments.page, "slices", text)


if __name__ == "__main__":
    main()
