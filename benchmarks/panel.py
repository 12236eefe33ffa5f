"""What the panel costs Slicer: how long a running job holds the event loop, and how long a result takes to show.

    python benchmarks/panel.py --study ../shared/native --repeats 6

Runs the module's own panel over real MRML and real Qt (the shell of tests/qt_shell.py), with the real engine in its
child process, on one study: FLAIR, T1 and T1 with contrast, found in the folder by their names. The first click is
cold, the others are warm. No slice or 3D view is drawn here, so "visible" means: the segmentation with its closed
surface is in the scene, selected, and its numbers are in the table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
MODULE_PATH = REPOSITORY / "BrainTumorSeg" / "BrainTumorSeg.py"
UNWANTED = ("torch", "monai", "torchvision")
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Click:
    """One click on "Segment tumour" until the button is ready again.

    total_s: click to visible result. engine_s: the engine's own stages, without writing its files. gaps_ms and
    busy_ms: how long each turn of the event loop took, by the clock and by this thread's own processor time.
    """

    total_s: float
    engine_s: float
    gaps_ms: tuple[float, ...]
    busy_ms: tuple[float, ...]

    @property
    def beside_engine_s(self) -> float:
        """What was added to the engine's time: export, protocol, writing, import, display."""
        return self.total_s - self.engine_s


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=REPOSITORY.parent / "shared" / "native", help="folder of files")
    parser.add_argument("--repeats", type=int, default=6, help="warm clicks after the first one")
    arguments = parser.parse_args()
    paths = find_sequences(arguments.study)
    if "flair" not in paths:
        sys.exit(f"Nothing was measured: {arguments.study} holds no file *_flair.nii.gz.")
    _prepare_import_path()
    with tempfile.TemporaryDirectory() as folder:
        clicks = measure(paths, Path(folder), arguments.repeats)
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, {len(clicks)} clicks")
    report(clicks)
    loaded = sorted({name.split(".")[0] for name in sys.modules} & set(UNWANTED))
    print(f"\nof {', '.join(UNWANTED)} in this process's sys.modules after the jobs: {', '.join(loaded) or 'none'}")


def find_sequences(folder: Path) -> dict[str, Path]:
    """Files ``*_flair.nii.gz``, ``*_t1.nii.gz`` and ``*_t1c.nii.gz`` of a folder, by sequence."""
    found = {name: sorted(folder.glob(f"*_{name}.nii.gz")) for name in ("flair", "t1", "t1c")}
    return {name: paths[0] for name, paths in found.items() if paths}


def measure(paths: dict[str, Path], folder: Path, repeats: int) -> list[Click]:
    """Click once cold and ``repeats`` times warm. Raises RuntimeError if a job does not end in a segmentation."""
    from qt_shell import Shell
    from slicer_core_scene import makeScene

    shell = Shell(MODULE_PATH, str(folder))
    # Nothing is to be installed here; the packages are those of this environment.
    shell.app.testingEnabled = lambda: True
    scene = makeScene()
    shell.begin()
    for name, path in paths.items():
        _load(scene, path, {"flair": "FLAIR", "t1": "T1", "t1c": "T1 post contrast"}[name])
    import BrainTumorSeg

    panel = shell.open(BrainTumorSeg.BrainTumorSegWidget)
    try:
        return [_click(shell, panel) for _ in range(repeats + 1)]
    finally:
        panel.cleanup()


def report(clicks: list[Click]) -> None:
    """Print the table and what the limits are about."""
    print(f"\n{'':8}{'click to':>10}{'engine':>9}{'beside':>9}{'longest turn':>15}{'its own work':>15}")
    print(f"{'':8}{'visible s':>10}{'s':>9}{'it s':>9}{'of the loop ms':>15}{'ms':>15}")
    for number, click in enumerate(clicks):
        title = "cold" if number == 0 else f"warm {number}"
        times = f"{click.total_s:10.2f}{click.engine_s:9.2f}{click.beside_engine_s:9.2f}"
        print(f"{title:8}{times}{max(click.gaps_ms):15.0f}{max(click.busy_ms):15.0f}")
    warm = clicks[1:]
    longest_ms, turns_ms = [max(each.gaps_ms) for each in clicks], [gap for each in clicks for gap in each.gaps_ms]
    print(f"\nturns of the event loop: median {statistics.median(turns_ms):.2f} ms over {len(turns_ms)} turns;")
    print(f"longest of each job: median {statistics.median(longest_ms):.0f} ms, maximum {max(longest_ms):.0f} ms")
    beside_s = [each.beside_engine_s for each in warm]
    print(f"warm click beside the engine: median {statistics.median(beside_s):.2f} s, maximum {max(beside_s):.2f} s")


def _prepare_import_path() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = [str(REPOSITORY / "BrainTumorSeg"), str(REPOSITORY / "tests")]


def _load(scene: Any, path: Path, name: str) -> None:
    """A file as a volume node, as Slicer's reader gives it."""
    import slicer

    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetCenterImage(False)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    if not storage.ReadData(node):
        raise RuntimeError(f"{path} can't be read.")
    node.CreateDefaultDisplayNodes()


def _click(shell: Any, panel: Any) -> Click:
    """Click, and turn the event loop as the application does until the button is ready again."""
    gaps_ms, busy_ms = [], []
    begun_s, begun_work_s = time.perf_counter(), time.thread_time()
    panel.ui.segmentButton.click()
    gaps_ms.append((time.perf_counter() - begun_s) * 1000)
    busy_ms.append((time.thread_time() - begun_work_s) * 1000)
    while panel.controller.isRunning and time.perf_counter() - begun_s < TIMEOUT_S:
        turn_s, work_s = time.perf_counter(), time.thread_time()
        shell.app.processEvents()
        gaps_ms.append((time.perf_counter() - turn_s) * 1000)
        busy_ms.append((time.thread_time() - work_s) * 1000)
        time.sleep(0.001)
    total_s = time.perf_counter() - begun_s
    if panel.ui.segmentationSelector.currentNode() is None or panel.ui.measurementsTable.rowCount == 0:
        raise RuntimeError(f"The click brought no segmentation: {panel.ui.statusLabel.text}")
    engine_s = sum(panel.logic.lastJob.report["timings_s"].values())
    return Click(total_s, engine_s, tuple(gaps_ms), tuple(busy_ms))


if __name__ == "__main__":
    main()
