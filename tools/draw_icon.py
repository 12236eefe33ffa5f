"""Draw the extension's icon: an axial head in grey, a tumour outlined in its segment colour.

python tools/draw_icon.py      writes BrainTumorSeg.png and BrainTumorSeg/Resources/Icons/BrainTumorSeg.png
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

REPOSITORY = Path(__file__).resolve().parents[1]
TARGETS = (
    REPOSITORY / "BrainTumorSeg.png",
    REPOSITORY / "BrainTumorSeg" / "Resources" / "Icons" / "BrainTumorSeg.png",
)
SIZE = 128
# Drawn large and scaled down, for smooth edges.
SCALE = 8

SKIN = (86, 96, 112, 255)
SKULL = (24, 29, 38, 255)
BRAIN = (150, 160, 176, 255)
SULCI = (108, 118, 136, 255)
VENTRICLE = (44, 51, 64, 255)
OUTLINE = (213, 94, 0, 255)
FILL = (255, 166, 77, 255)


def draw_icon() -> Image.Image:
    """The icon, RGBA 128 x 128 on a clear ground."""
    image = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE), (0, 0, 0, 0))
    _ellipse(image, (64, 64), (52, 60), SKIN)
    _ellipse(image, (64, 64), (48, 56), SKULL)
    _brain(image)
    for side in (-1, 1):
        _ventricle(image, side)
    _tumour(image)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _brain(image: Image.Image) -> None:
    """Two hemispheres with a wavy rim, parted by the falx; sulci as darker strokes from the rim inward."""
    draw = ImageDraw.Draw(image)
    draw.polygon([_rim_point(angle, 1.0) for angle in range(360)], fill=BRAIN)
    for angle in range(12, 360, 24):
        if abs(angle % 180 - 90) > 8:
            stroke = [_rim_point(angle + 5 * math.sin(depth * 9), 1 - depth) for depth in (0.0, 0.08, 0.16, 0.24)]
            draw.line(stroke, fill=SULCI, width=2 * SCALE, joint="curve")
    draw.line([_point(64, 12), _point(64, 116)], fill=SKULL, width=int(2.2 * SCALE))


def _rim_point(angle_degrees: float, radius: float) -> tuple[float, float]:
    """A point of the brain's rim, or of the same curve nearer to the centre."""
    angle = math.radians(angle_degrees)
    wave = 1 + 0.022 * math.cos(15 * angle)
    return _point(64 + 43.5 * radius * wave * math.cos(angle), 64 + 51 * radius * wave * math.sin(angle))


def _ventricle(image: Image.Image, side: int) -> None:
    draw = ImageDraw.Draw(image)
    horn = [(3, 47), (9, 42), (11, 48), (6, 58), (6, 68), (12, 80), (9, 84), (3, 74)]
    draw.polygon([_point(64 + side * x, y) for x, y in horn], fill=VENTRICLE)


def _tumour(image: Image.Image) -> None:
    """A lobed patch with its outline, as the slice view shows the segment."""
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    for x, y, radius in ((86, 44, 13), (93, 54, 10), (79, 52, 9), (88, 35, 8)):
        draw.ellipse([*_point(x - radius, y - radius), *_point(x + radius, y + radius)], fill=255)
    blurred = mask.filter(ImageFilter.GaussianBlur(2 * SCALE))
    outer = blurred.point(lambda value: 255 * (value > 90))
    inner = blurred.filter(ImageFilter.GaussianBlur(1.5 * SCALE)).point(lambda value: 255 * (value > 190))
    image.paste(OUTLINE, mask=outer)
    image.paste(FILL, mask=inner)


def _ellipse(image: Image.Image, centre: tuple[int, int], radii: tuple[int, int], colour: tuple[int, ...]) -> None:
    (x, y), (a, b) = centre, radii
    ImageDraw.Draw(image).ellipse([*_point(x - a, y - b), *_point(x + a, y + b)], fill=colour)


def _point(x: float, y: float) -> tuple[float, float]:
    return (x * SCALE, y * SCALE)


if __name__ == "__main__":
    for target in TARGETS:
        target.parent.mkdir(parents=True, exist_ok=True)
        draw_icon().save(target, optimize=True)
