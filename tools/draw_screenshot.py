"""Draw the extension's screenshot: the real panel after a real click on the synthetic sample study, beside the views.

python tools/draw_screenshot.py      writes Screenshots/1.png

There is no Slicer application here. The panel is the module's own .ui and code under real Qt (tests/qt_shell.py), the
result is the released model's, in a real MRML scene, and the views are drawn by Slicer's own view code
(scene_views.py). Slicer's window, menus and view bars around them are left out, and the picture says so itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from sample_panel import REPOSITORY, picture_of, segmented_sample
from scene_views import SceneViews

from qt_shell import Shell

TARGET = REPOSITORY / "Screenshots" / "1.png"
PANEL_WIDTH = 440
"""Before scaling; as wide as Slicer's module panel usually is."""
VIEW_WIDTH_PX = 560
BAR_PX = 26
CAPTION = "Drawn outside Slicer by its own libraries, from the synthetic sample study. Not a medical device."
# Slicer's own colours of its views.
BARS = {"Axial": (243, 74, 51), "3D": (114, 123, 190), "Coronal": (110, 176, 75), "Sagittal": (237, 213, 76)}


def draw(folder: Path) -> Image.Image:
    """The whole picture. Raises RuntimeError if the click brings no segmentation."""
    with segmented_sample(folder) as (shell, panel, scene):
        panel.ui.advancedCollapsibleButton.collapsed = False
        panel_picture = draw_panel(shell, folder)
        view_px = (VIEW_WIDTH_PX, (panel_picture.height - 3 * BAR_PX) // 2)
        return composed(panel_picture, draw_views(scene, panel, view_px, folder))


def draw_panel(shell: Shell, folder: Path) -> Image.Image:
    """The panel as it stands, no higher than it must be."""
    shell.parent.resize(PANEL_WIDTH, 0)
    shell.app.processEvents()
    return picture_of(shell.parent, folder)


def draw_views(scene: Any, panel: Any, view_px: tuple[int, int], folder: Path) -> dict[str, Image.Image]:
    """Slices through the middle of the tumour, and its surface over the axial slice, by name."""
    flair, result = panel.ui.flairSelector.currentNode(), panel.ui.segmentationSelector.currentNode()
    bounds = [0.0] * 6
    result.GetRASBounds(bounds)
    x, y, z = ((bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3))
    views = SceneViews(scene, view_px, folder)
    pictures = {name: views.slice(name, flair, (x, y, z), zoom=1.3) for name in ("Axial", "Coronal", "Sagittal")}
    views.show_in_3d("Axial")
    pictures["3D"] = views.surfaces((x + 120, y + 260, z + 220), (x - 25, y, z), height_mm=170)
    return pictures


def composed(panel: Image.Image, views: dict[str, Image.Image]) -> Image.Image:
    """Panel on the left, the four views as Slicer arranges them, and the caption below them."""
    width, height = views["3D"].size
    picture = Image.new("RGB", (panel.width + 2 * width, panel.height), "white")
    picture.paste(panel, (0, 0))
    for number, (name, colour) in enumerate(BARS.items()):
        left, top = panel.width + number % 2 * width, number // 2 * (height + BAR_PX)
        picture.paste(views[name], (left, top + BAR_PX))
        _bar(picture, (left, top, left + width, top + BAR_PX), name, colour)
    top = 2 * (height + BAR_PX)
    _bar(picture, (panel.width, top, picture.width, picture.height), CAPTION, (240, 240, 240))
    return picture


def _bar(picture: Image.Image, box: tuple[int, int, int, int], text: str, colour: tuple[int, int, int]) -> None:
    draw = ImageDraw.Draw(picture)
    draw.rectangle(box, fill=colour)
    draw.text((box[0] + 10, box[1] + 4), text, fill=(20, 20, 20), font=ImageFont.load_default(15))


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        draw(Path(made)).save(TARGET, optimize=True)
