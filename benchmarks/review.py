"""What a review costs: threshold, edit, navigator, overlay, refinement, page, on a result of 256 x 256 x 60 voxels.

    python benchmarks/review.py --repeats 10

Runs the module's own panel over real MRML and real Qt (the shell of tests/qt_shell.py); no view is drawn. The result is
made up: a tumour of about 120 mL with a rough outline, and a small one beside it. For each step: the time by the clock
until the call returns, this process's own processor time, and the longest turn of the event loop until all is settled.
Report page and DICOM segmentation are written in the engine's process: they hold no event loop, and have no such turn.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE_KJI = (60, 256, 256)
SPACING_MM = (1.0, 1.0, 3.0)
SETTLED_S = 1.2


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="of each step")
    repeats = parser.parse_args().repeats
    prepare_import_path()
    with tempfile.TemporaryDirectory() as folder:
        shell, panel, segmentation = open_panel(folder)
        print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, {repeats} repeats")
        print(f"\n{'':28}{'clock ms':>18}{'processor ms':>14}{'longest turn ms':>17}")
        for name, step in steps(panel, segmentation):
            report(name, [measured(shell, panel, step) for _ in range(repeats)])
        panel.cleanup()
        for name, step in hand_over_steps(Path(folder)):
            report(name, [(*timed(step), math.nan) for _ in range(repeats)])


def prepare_import_path() -> None:
    """Lets Python find the module and its tests' stand-ins, and Qt do without a screen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = [str(REPOSITORY / "BrainTumorSeg"), str(REPOSITORY / "tests")]


def probability() -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 [K, J, I], 0-1."""
    from scipy.ndimage import gaussian_filter

    k, j, i = np.indices(SIZE_KJI)
    noise = gaussian_filter(np.random.default_rng(0).normal(size=SIZE_KJI), (3, 10, 10))
    large = np.sqrt(((k - 30) * 3.0) ** 2 + (j - 120.0) ** 2 + (i - 150.0) ** 2) - 32 + 5 * noise / noise.std()
    small = np.sqrt(((k - 40) * 3.0) ** 2 + (j - 60.0) ** 2 + (i - 60.0) ** 2) - 9
    return np.asarray(1 / (1 + np.exp(np.clip(np.minimum(large, small) / 2, -50, 50))), np.float32)


def open_panel(folder: str) -> tuple[Any, Any, Any]:
    """Shell, panel and segmentation node with the made-up result, an axial view and its outline."""
    from qt_shell import Shell
    from slicer_core_scene import makeScene

    shell = Shell(REPOSITORY / "BrainTumorSeg" / "BrainTumorSeg.py", folder)
    shell.app.testingEnabled = lambda: True
    scene = makeScene()
    shell.begin()
    import slicer

    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    import BrainTumorSeg

    panel = shell.open(BrainTumorSeg.BrainTumorSegWidget)
    segmentation = add_result(scene)
    panel.controller.parameters.segmentation = segmentation
    panel.controller.parameters.recommended = False
    shell.app.processEvents()
    return shell, panel, segmentation


def add_result(scene: Any) -> Any:
    """FLAIR and a result on it, as an import leaves them."""
    import slicer

    from BrainTumorSegLib.engine.output.seg_nrrd import TUMOUR_COLOUR
    from BrainTumorSegLib.scene.probabilityImport import storeProbability
    from BrainTumorSegLib.scene.provenance import ALGORITHM_TYPE, markWritten
    from BrainTumorSegLib.scene.remeasure import remeasure
    from BrainTumorSegLib.scene.resultTables import showLesions, showSliceScores
    from BrainTumorSegLib.scene.segmentVoxels import writeMask

    values = probability()
    flair = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "FLAIR")
    slicer.util.updateVolumeFromArray(flair, values)
    flair.SetSpacing(*SPACING_MM)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Result")
    node.SetReferenceImageGeometryParameterFromVolumeNode(flair)
    node.CreateDefaultDisplayNodes()
    segment_id = node.GetSegmentation().AddEmptySegment("", "Tumour", TUMOUR_COLOUR)
    segment = node.GetSegmentation().GetSegment(segment_id)
    writeMask(node, segment_id, values >= 0.5, flair)
    for name, text in (("Threshold", "0.5"), ("MinimumVolume_mL", "0.1")):
        segment.SetTag(f"BrainTumorSeg.{name}", text)
    segment.SetTag(ALGORITHM_TYPE, "AUTOMATIC")
    markWritten(node, segment_id)
    uncertain = [{"index": n, "position_mm": 3.0 * n, "tumour_probability": 0.5} for n in range(SIZE_KJI[0])]
    rest = {
        "segmented": True,
        "area_mm2": 0.0,
        "mean_uncertainty": 0.2,
        "doubtful_area_mm2": 50.0,
        "reaches_edge": False,
    }
    showSliceScores({"slices": [each | rest for each in uncertain]}, node, "slices")
    showLesions({"lesions": []}, node, "lesions")
    storeProbability(values, flair, node)
    remeasure(node)
    node.CreateClosedSurfaceRepresentation()
    return node


def steps(panel: Any, segmentation: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each step by its name; called again and again it does something each time."""
    from BrainTumorSegLib.scene.provenance import ownSegmentIds
    from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask

    navigator = panel.controller._resultPanel.navigator
    count = iter(range(10**6))

    def move_threshold() -> None:
        panel.ui.thresholdSlider.value = (0.35, 0.45, 0.55, 0.65)[next(count) % 4]

    def go() -> None:
        navigator.goTo(next(count) % SIZE_KJI[0])

    def edit() -> None:
        flair = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
        mask = maskOnVolume(segmentation, ownSegmentIds(segmentation)[0], flair)
        mask[5, 10:20, 10 : 20 + next(count) % 7] = True
        segmentation.RemoveClosedSurfaceRepresentation()
        writeMask(segmentation, ownSegmentIds(segmentation)[0], mask, flair)

    def refine() -> None:
        flair = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
        mask = maskOnVolume(segmentation, ownSegmentIds(segmentation)[0], flair)
        mask[30, 120, 130 + next(count) % 40] = False
        writeMask(segmentation, ownSegmentIds(segmentation)[0], mask, flair)
        panel.ui.refineButton.click()

    yield "threshold moved", move_threshold
    yield "navigator to a slice", go
    yield "slice ticked off", navigator.toggleReviewed
    yield "overlay on or off", panel.ui.overlayButton.click
    yield "edit, then the table", edit
    yield "refinement, then the table", refine


def hand_over_steps(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Files of the result for others, as the engine writes them; each is written once before it is measured."""
    import SimpleITK as sitk

    from BrainTumorSegLib.engine.output.dicom_seg import save_dicom_seg
    from BrainTumorSegLib.engine.output.page.content import PageRequest
    from BrainTumorSegLib.engine.output.page.page import save_page
    from BrainTumorSegLib.engine.output.report import build_report
    from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
    from BrainTumorSegLib.engine.study.source_series import read_source_series
    from dicom_series import write_series
    from result_phantoms import phantom_result

    image = sitk.GetImageFromArray((1000 * probability()).astype(np.int16))
    image.SetSpacing(SPACING_MM)
    write_series(folder / "series", image, SeriesDescription="FLAIR")
    geometry, mask = Geometry.of_image(image), probability() >= 0.5
    report = build_report(phantom_result(geometry, mask))
    flair = Volume(sitk.GetArrayFromImage(image).astype(np.float32), geometry)
    request = PageRequest(report, flair, mask)

    def dicom() -> None:
        series = read_source_series([folder / "series"])
        save_dicom_seg(Volume(mask, geometry), series, report, folder / "tumour.dcm")

    for name, step in {
        "page, HTML": lambda: save_page(request, folder / "page.html"),
        "page, PDF": lambda: save_page(request, folder / "page.pdf"),
        "DICOM segmentation": dicom,
    }.items():
        step()
        yield name, step


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds of a step: by the clock and by the processor."""
    clock_s, work_s = time.perf_counter(), time.process_time()
    step()
    return (time.perf_counter() - clock_s) * 1000, (time.process_time() - work_s) * 1000


def measured(shell: Any, panel: Any, step: Callable[[], None]) -> tuple[float, float, float]:
    """Milliseconds: of the call by the clock and by the processor, and the longest turn of the loop after it."""
    started_s = time.perf_counter()
    clock_ms, work_ms = timed(step)
    longest_ms = clock_ms
    while time.perf_counter() - started_s < SETTLED_S or panel.controller.isRunning:
        turn_s = time.perf_counter()
        shell.app.processEvents()
        longest_ms = max(longest_ms, (time.perf_counter() - turn_s) * 1000)
        time.sleep(0.001)
    return clock_ms, work_ms, longest_ms


def report(name: str, found: list[tuple[float, float, float]]) -> None:
    """One line: median and maximum by the clock, medians of the others."""
    clock, work, turn = (sorted(column) for column in zip(*found, strict=True))
    longest = "" if math.isnan(turn[0]) else f"{statistics.median(turn):.0f}"
    clocks = f"{statistics.median(clock):.0f} (max {clock[-1]:.0f})"
    print(f"{name:28}{clocks:>18}{statistics.median(work):>14.0f}{longest:>17}")


if __name__ == "__main__":
    main()
