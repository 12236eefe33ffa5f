"""Draw a refined outline and what the classifier saw, for the user guide, after real clicks on the synthetic study.

python tools/draw_corrections.py      writes docs/pictures/refinement.png and classifier.png

As draw_screenshot.py, which says what is Slicer's own here and what is not. The overlay's legend is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from PIL import Image
from sample_panel import TIMEOUT_S, grab, segmented_sample, write_pictures
from scene_views import NAMES, SceneViews

from qt_shell import Shell

VIEW_PX = 400
INSET_PX = 11
"""As far from the edge as the controls stand."""
SLICE = 12
"""Of the sample, from 0: the outline is too large there."""


def draw(folder: Path) -> dict[str, Image.Image]:
    """The pictures by name."""
    with segmented_sample(folder, add_views) as (shell, panel, _scene):
        refine(shell, panel)
        panel.ui.advancedCollapsibleButton.collapsed = True
        refined = above(inset(grab(shell, panel.ui.statusLabel)), grab(shell, panel.ui.resultCollapsibleButton))
        panel.ui.moreCollapsibleButton.collapsed = False
        panel.ui.overlayComboBox.currentIndex = 2
        panel.ui.overlayButton.click()
        wait(shell, panel)
        more = grab(shell, panel.ui.moreCollapsibleButton)
        return {"refinement": refined, "classifier": above(more, draw_slice(panel, folder))}


def add_views(scene: Any) -> None:
    """An axial view that the panel looks at, and what the view that is drawn later will show."""
    shown, drawn = slicer.vtkMRMLSliceNode(), slicer.vtkMRMLSliceCompositeNode()
    shown.SetLayoutName("Shown")
    drawn.SetLayoutName(NAMES["Axial"])
    for node in (shown, drawn):
        scene.AddNode(node)


def refine(shell: Shell, panel: Any) -> None:
    """Erase a dozen rows of what is no tumour in one slice, then click."""
    from BrainTumorSegLib.scene.provenance import tumourSegmentIds
    from BrainTumorSegLib.scene.remeasure import tumourMask
    from BrainTumorSegLib.scene.segmentVoxels import writeMask

    result, flair = panel.ui.segmentationSelector.currentNode(), panel.ui.flairSelector.currentNode()
    mask = tumourMask(result, flair)
    rows = mask[SLICE].any(axis=1).nonzero()[0]
    mask[SLICE, rows[:12]] = False
    writeMask(result, tumourSegmentIds(result)[0], mask, flair)
    shell.processEventsUntil(lambda: panel.ui.refineButton.visible, TIMEOUT_S)
    panel.ui.refineButton.click()
    wait(shell, panel)


def draw_slice(panel: Any, folder: Path) -> Image.Image:
    """The axial view of the slice that the panel stands at."""
    from BrainTumorSegLib.scene.review import VolumeSlices

    index = panel.controller._resultPanel.navigator.shown
    flair = panel.ui.flairSelector.currentNode()
    views = SceneViews(slicer.mrmlScene, (VIEW_PX, VIEW_PX), folder)
    return views.slice("Axial", flair, VolumeSlices.of(flair).centreRas(index), zoom=1.2)


def wait(shell: Shell, panel: Any) -> None:
    """Until nothing runs. Raises RuntimeError for what went wrong."""
    shell.processEventsUntil(lambda: not panel.controller.isRunning, TIMEOUT_S)
    if panel.logic.session.process is None or shell.dialogs.shown:
        raise RuntimeError(f"{panel.ui.statusLabel.text} {shell.dialogs.shown}")


def inset(text: Image.Image) -> Image.Image:
    """A line of the panel that begins where its controls do."""
    picture = Image.new("RGB", (text.width, text.height + INSET_PX), text.getpixel((0, 0)))
    picture.paste(text, (INSET_PX, INSET_PX // 2))
    return picture


def above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Two pictures, one above the other."""
    picture = Image.new("RGB", (max(upper.width, lower.width), upper.height + lower.height), lower.getpixel((0, 0)))
    picture.paste(upper, (0, 0))
    picture.paste(lower, (0, upper.height))
    return picture


if __name__ == "__main__":
    write_pictures(draw)
