"""Draw the parts of the panel that the user guide shows, after real clicks on the synthetic sample study.

python tools/draw_panels.py      writes docs/pictures/export.png and comparison.png

As draw_screenshot.py, which says what is Slicer's own here and what is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
from PIL import Image
from sample_panel import TIMEOUT_S, beside, grab, segmented_sample, write_pictures
from scene_views import SceneViews

from qt_shell import Shell

VIEW_PX = 280


def draw(folder: Path) -> dict[str, Image.Image]:
    """The pictures by name."""
    with segmented_sample(folder) as (shell, panel, scene):
        result = panel.ui.segmentationSelector.currentNode()
        reader = readers_outline(scene, result, panel.ui.flairSelector.currentNode())
        correct(shell, panel, result)
        return {"export": draw_export(shell, panel), "comparison": draw_comparison(shell, panel, reader, folder)}


def readers_outline(scene: Any, result: Any, flair: Any) -> Any:
    """The result once more, 6 mm to the patient's right and a slice higher."""
    from BrainTumorSegLib.scene.remeasure import tumourMask
    from BrainTumorSegLib.scene.segmentVoxels import writeMask

    mask = np.roll(tumourMask(result, flair), (1, 6), axis=(0, 2))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Reader 1")
    node.SetReferenceImageGeometryParameterFromVolumeNode(flair)
    node.CreateDefaultDisplayNodes()
    writeMask(node, node.GetSegmentation().AddEmptySegment(), mask, flair)
    return node


def correct(shell: Shell, panel: Any, result: Any) -> None:
    """One slice erased, so that the panel asks who did it."""
    from BrainTumorSegLib.scene.provenance import tumourSegmentIds
    from BrainTumorSegLib.scene.remeasure import tumourMask
    from BrainTumorSegLib.scene.segmentVoxels import writeMask

    flair = panel.ui.flairSelector.currentNode()
    mask = tumourMask(result, flair)
    mask[np.flatnonzero(mask.any(axis=(1, 2)))[0]] = False
    before = panel.ui.measurementsTable.item(0, 1).text()
    writeMask(result, tumourSegmentIds(result)[0], mask, flair)
    shell.processEventsUntil(lambda: panel.ui.measurementsTable.item(0, 1).text() != before, TIMEOUT_S)


def draw_export(shell: Shell, panel: Any) -> Image.Image:
    """The result with what "Export..." unfolds."""
    panel.ui.exportButton.click()
    picture = grab(shell, panel.ui.resultCollapsibleButton)
    panel.ui.exportButton.click()
    return picture


def draw_comparison(shell: Shell, panel: Any, reader: Any, folder: Path) -> Image.Image:
    """What "More" says of a comparison, beside the slice view."""
    panel.ui.moreCollapsibleButton.collapsed = False
    panel.ui.comparisonSelector.setCurrentNode(reader)
    panel.ui.comparisonButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning, TIMEOUT_S)
    text = grab(shell, panel.ui.moreCollapsibleButton)
    bounds = [0.0] * 6
    reader.GetRASBounds(bounds)
    centre = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
    views = SceneViews(slicer.mrmlScene, (VIEW_PX, VIEW_PX), folder)
    return beside(text, views.slice("Axial", panel.ui.flairSelector.currentNode(), centre, zoom=1.5))


if __name__ == "__main__":
    write_pictures(draw)
