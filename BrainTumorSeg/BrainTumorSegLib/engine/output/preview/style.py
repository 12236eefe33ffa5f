"""Colours and type of the preview picture."""

from __future__ import annotations

from functools import cache

from PIL import ImageDraw, ImageFont

from BrainTumorSegLib.engine.output.seg_nrrd import TUMOUR_COLOUR

Colour = tuple[int, int, int]

BACKGROUND: Colour = (14, 16, 20)
PANEL: Colour = (24, 28, 34)
TEXT: Colour = (236, 239, 243)
QUIET: Colour = (150, 158, 170)
RULE: Colour = (58, 65, 76)
CAUTION: Colour = (255, 196, 84)
REVIEW: Colour = (255, 122, 110)
BAR: Colour = (92, 148, 224)
BAR_SKIPPED: Colour = (74, 84, 98)
OUTLINE: Colour = (round(255 * TUMOUR_COLOUR[0]), round(255 * TUMOUR_COLOUR[1]), round(255 * TUMOUR_COLOUR[2]))
"""The mask's colour, the same that the segmentation has in 3D Slicer."""

_RIM: Colour = (0, 0, 0)
_PLATE_PADDING_PX = 3


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, so that the picture is the same on every system."""
    return ImageFont.load_default(size_px)


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size_px: int,
    colour: Colour,
    anchor: str,
    rim_px: int = 0,
) -> None:
    """Draw text at ``place`` by Pillow's ``anchor``; ``rim_px`` of black around it keep it readable on bright tissue.

    A final ² is drawn as a small raised 2, for the typeface has none.
    """
    kind = font(size_px)
    if not text.endswith("²"):
        draw.text(place, text, font=kind, fill=colour, anchor=anchor, stroke_width=rim_px, stroke_fill=_RIM)
        return
    text, small = text[:-1], font(round(0.65 * size_px))
    width = draw.textlength(text, font=kind)
    left = place[0] if anchor[0] == "l" else place[0] - width - draw.textlength("2", font=small)
    place, anchor = (left, place[1]), "l" + anchor[1]
    draw.text(place, text, font=kind, fill=colour, anchor=anchor, stroke_width=rim_px, stroke_fill=_RIM)
    raised = (left + width, draw.textbbox(place, text, font=kind, anchor=anchor)[1] - 2)
    draw.text(raised, "2", font=small, fill=colour, anchor="lt", stroke_width=rim_px, stroke_fill=_RIM)


def write_on_plate(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size_px: int, colour: Colour, anchor: str
) -> None:
    """As ``write``, on a black plate: readable even over the skull, which is as bright as the letters."""
    left, top, right, bottom = draw.textbbox(place, text, font=font(size_px), anchor=anchor)
    pad = _PLATE_PADDING_PX
    draw.rectangle([left - pad, top - pad, right + pad, bottom + pad], fill=_RIM)
    write(draw, place, text, size_px, colour, anchor)
