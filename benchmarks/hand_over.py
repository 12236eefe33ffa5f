"""What handing a result over costs Slicer: until the files are there, and how long the event loop is held meanwhile.

    python benchmarks/hand_over.py --repeats 5

The made-up result of benchmarks/review.py, 256 x 256 x 60 voxels, through the module's own panel and the real engine's
process: the files of "Export...", each by itself, and a comparison with the outline two voxels to the side. For each:
the time by the clock, and of the longest turn of the event loop the clock's time and this thread's own work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from review import SIZE_KJI, open_panel, prepare_import_path

BOXES = ("Result", "Pdf", "Html")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="of each step; the first also starts the engine")
    repeats = parser.parse_args().repeats
    prepare_import_path()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as target:
        shell, panel, segmentation = open_panel(folder)
        keep_report(segmentation)
        shell.choosePath(Path(target))
        print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, {repeats} repeats")
        print(f"\n{'':22}{'clock s':>18}{'longest turn ms':>18}{'its own work ms':>18}")
        for name, start in steps(panel, add_reader(segmentation)):
            found = [measured(shell, panel, start) for _ in range(repeats)]
            total, turn, work = zip(*found, strict=True)
            clocks = f"{statistics.median(total):.2f} (max {max(total):.2f})"
            print(f"{name:22}{clocks:>18}{max(turn):>18.0f}{max(work):>18.0f}")
        panel.cleanup()


def keep_report(segmentation: Any) -> None:
    """A report as the engine gives one, of as many slices."""
    from BrainTumorSegLib.scene.keptReport import keepReport
    from scene.phantomScene import reportOf

    report = reportOf()
    one = report["slices"][0]
    keepReport({**report, "slices": [{**one, "index": index} for index in range(SIZE_KJI[0])]}, segmentation)


def add_reader(segmentation: Any) -> Any:
    """The outline of somebody who drew two voxels to the side."""
    from BrainTumorSegLib.scene.remeasure import tumourMask
    from BrainTumorSegLib.scene.segmentVoxels import writeMask

    flair = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    node = segmentation.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", "Reader")
    node.SetReferenceImageGeometryParameterFromVolumeNode(flair)
    node.CreateDefaultDisplayNodes()
    writeMask(node, node.GetSegmentation().AddEmptySegment(), np.roll(tumourMask(segmentation, flair), 2, 2), flair)
    return node


def steps(panel: Any, reader: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each step by its name."""
    panel.ui.exportButton.click()
    for chosen in BOXES:
        for name in BOXES:
            getattr(panel.ui, f"handOver{name}CheckBox").checked = name == chosen
        yield chosen, panel.ui.handOverButton.click
    panel.ui.comparisonSelector.setCurrentNode(reader)

    def compare() -> None:
        panel.ui.comparisonButton.checked = False
        panel.ui.comparisonButton.checked = True

    yield "Comparison", compare


def measured(shell: Any, panel: Any, start: Callable[[], None]) -> tuple[float, float, float]:
    """Seconds until it is done, and milliseconds of the longest turn of the event loop by clock and by own work."""
    begun_s, turns, works = time.perf_counter(), [], []
    step = start
    while True:
        turn_s, work_s = time.perf_counter(), time.thread_time()
        step()
        turns.append((time.perf_counter() - turn_s) * 1000)
        works.append((time.thread_time() - work_s) * 1000)
        if not panel.controller.isRunning:
            break
        step = shell.app.processEvents
        time.sleep(0.001)
    failure = panel.ui.statusLabel.text
    if "Written" not in failure and not panel.ui.comparisonLabel.text:
        raise RuntimeError(f"Nothing was measured: {failure}")
    return time.perf_counter() - begun_s, max(turns), max(works)


if __name__ == "__main__":
    main()
