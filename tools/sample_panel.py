"""The module's panel after a click on the synthetic sample study, outside Slicer, for the pictures drawn of it.

There is no Slicer application here. The panel is the module's own .ui and code under real Qt (tests/qt_shell.py), the
result is the released model's, in a real MRML scene. Import this before anything of the module.
"""

# ruff: noqa: E402 - Qt reads the environment, and Python its path, before the imports below
from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_SCALE_FACTOR"] = "1.25"
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "BrainTumorSeg"), str(REPOSITORY / "tests")]

import slicer
from PIL import Image

from qt_shell import Shell
from slicer_core_scene import makeScene

TIMEOUT_S = 600.0
_MODULE = REPOSITORY / "BrainTumorSeg" / "BrainTumorSeg.py"
_PICTURES = REPOSITORY / "docs" / "pictures"
_NARROWEST = 380
"""Width of Slicer's narrowest module panel, before scaling."""
_HEIGHT = 1600
"""Room for everything that is unfolded; only the part is kept."""
_COLOURS = 256
"""Enough for a panel and a slice; a picture of the guide is smaller than 60 kB."""


@contextmanager
def segmented_sample(
    folder: Path, add_to: Callable[[Any], None] = lambda _scene: None
) -> Iterator[tuple[Shell, Any, Any]]:
    """Yields shell, panel and scene once the click has brought a result; the panel is closed at the end.

    folder: a temporary one. add_to: adds to the scene what has to be there when the panel opens. Raises RuntimeError
    if the click brings no segmentation.
    """
    shell = Shell(_MODULE, str(folder))
    shell.app.testingEnabled = lambda: True  # the packages are those of this environment
    scene = makeScene()
    shell.begin()
    _load_sample(scene)
    add_to(scene)
    import BrainTumorSeg

    panel = shell.open(BrainTumorSeg.BrainTumorSegWidget)
    try:
        _segment(shell, panel)
        yield shell, panel, scene
    finally:
        panel.cleanup()


def _load_sample(scene: Any) -> None:
    """The study that Slicer's Sample Data module offers, under the names that it gives it there."""
    from BrainTumorSegLib.application.sampleStudy import NAME, SHA256, nodeName

    for sequence in SHA256:
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storage.SetFileName(str(_MODULE.parent / "Resources" / "SampleStudy" / f"{NAME}_{sequence}.nii.gz"))
        storage.SetCenterImage(False)
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", nodeName(sequence))
        storage.ReadData(node)
        node.CreateDefaultDisplayNodes()


def _segment(shell: Shell, panel: Any) -> None:
    panel.ui.guessButton.click()
    panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning, TIMEOUT_S)
    if panel.ui.measurementsTable.rowCount == 0:
        raise RuntimeError(f"The click brought no segmentation: {panel.ui.statusLabel.text}")


def grab(shell: Shell, widget: Any) -> Image.Image:
    """A part of the panel as it stands, at the narrowest width."""
    shell.parent.resize(_NARROWEST, _HEIGHT)
    for _ in range(20):
        shell.app.processEvents()
    with tempfile.TemporaryDirectory() as made:
        return picture_of(widget, Path(made))


def picture_of(widget: Any, folder: Path) -> Image.Image:
    """A widget as it is drawn now. folder: a temporary one."""
    path = folder / "widget.png"
    widget.grab().save(str(path))
    with Image.open(path) as image:
        return image.convert("RGB")


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures side by side."""
    picture = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), left.getpixel((0, 0)))
    picture.paste(left, (0, 0))
    picture.paste(right, (left.width, 0))
    return picture


def write_pictures(draw: Callable[[Path], dict[str, Image.Image]]) -> None:
    """Write what is drawn, by name, for the user guide. draw: takes a temporary folder."""
    _PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        for name, picture in draw(Path(made)).items():
            picture.quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(_PICTURES / f"{name}.png", optimize=True)
