"""A picture of a result for a quick look: slices with the tumour's outline, and every slice's score.

Nothing in it tells who the patient is: no name, no path, no UID, no date.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageDraw

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.measurement.result import Result, summarise
from BrainTumorSegLib.engine.measurement.review_order import worth_a_look
from BrainTumorSegLib.engine.output.preview.slices import SliceStack, slice_stack, tile
from BrainTumorSegLib.engine.output.preview.strip import strip
from BrainTumorSegLib.engine.output.preview.style import BACKGROUND, CAUTION, QUIET, TEXT, write
from BrainTumorSegLib.engine.study.geometry import Volume

_WIDTH_PX = 1600
_MARGIN_PX = 28
_GAP_PX = 8
_HEADER_PX = 104
_STRIP_PX = 210
_FOOTER_PX = 44
_MOST_COLUMNS = 6
_WIDEST_TILE_PX = 380
_TALLEST_TILE_PX = 480
# A tenth larger than at 3, and three quarters of its time; at Pillow's default of 6 it takes three times as long.
_PNG_COMPRESSION = 2


def render_preview(result: Result, path: Path) -> None:
    """Write the picture as PNG, 1600 pixels wide. Raises OSError where the file can't be written."""
    preview_picture(result).save(path, format="PNG", compress_level=_PNG_COMPRESSION)


def preview_picture(result: Result) -> Image.Image:
    """The picture, RGB: axial slices seen from below (the patient's right on the left), in true proportion."""
    to_review = frozenset(need.index for need in worth_a_look(result.review))
    stack = slice_stack(Volume(result.study.flair, result.geometry), result.mask, result.slices, to_review)
    slices = slice_grid(stack, _WIDTH_PX - 2 * _MARGIN_PX, _MOST_COLUMNS)
    height = _HEADER_PX + slices.height + _GAP_PX + _STRIP_PX + _FOOTER_PX
    picture = Image.new("RGB", (_WIDTH_PX, height), BACKGROUND)
    _header(picture, result)
    picture.paste(slices, (_MARGIN_PX, _HEADER_PX))
    scores = strip(result, stack.scores, (_WIDTH_PX - 2 * _MARGIN_PX, _STRIP_PX))
    picture.paste(scores, (_MARGIN_PX, _HEADER_PX + slices.height + _GAP_PX))
    _footer(picture)
    return picture


def slice_grid(stack: SliceStack, width: int, most_columns: int) -> Image.Image:
    """The slices side by side, row by row, in a picture ``width`` pixels wide."""
    count = len(stack.scores)
    columns = count if count <= most_columns else min(most_columns, math.ceil(count / 2))
    rows = math.ceil(count / columns)
    room_px = (width - (columns - 1) * _GAP_PX) // columns
    tile_px = max(1, min(_WIDEST_TILE_PX, room_px, round(_TALLEST_TILE_PX / stack.aspect)))
    # Two: resizing, half of the work, goes on beside the rest, which holds the interpreter's lock.
    with ThreadPoolExecutor(2) as pool:
        tiles = list(pool.map(lambda position: tile(stack, position, tile_px), range(count)))
    pitch_x, pitch_y = tile_px + _GAP_PX, tiles[0].height + _GAP_PX
    grid = Image.new("RGB", (width, rows * pitch_y - _GAP_PX), BACKGROUND)
    left = (width - columns * pitch_x + _GAP_PX) // 2
    for position, picture in enumerate(tiles):
        row, column = divmod(position, columns)
        grid.paste(picture, (left + column * pitch_x, row * pitch_y))
    return grid


def _header(picture: Image.Image, result: Result) -> None:
    draw = ImageDraw.Draw(picture)
    write(draw, (_MARGIN_PX, 24), summarise(result), 30, TEXT, "la")
    write(draw, (_MARGIN_PX, 66), _details(result), 16, QUIET, "la")
    if result.warnings:
        count = len(result.warnings)
        words = "1 warning: see the report" if count == 1 else f"{count} warnings: see the report"
        write(draw, (_WIDTH_PX - _MARGIN_PX, 66), words, 16, CAUTION, "ra")


def _details(result: Result) -> str:
    parts = [f"Model {result.segmentation_model.name} {result.segmentation_model.version}"]
    if result.classifier_model is not None:
        parts.append(f"classifier {result.classifier_model.name} {result.classifier_model.version}")
    parts.append(f"threshold {result.settings.threshold:g}")
    if result.lesions:
        longest, across = result.lesions[0].axial_diameters_mm
        parts.append(f"largest lesion {longest:.0f} by {across:.0f} mm (axial)")
    return "  ·  ".join(parts)


def _footer(picture: Image.Image) -> None:
    draw = ImageDraw.Draw(picture)
    words = "Not a medical device. Made by an automatic method for research: check every slice before any use."
    baseline = picture.height - 16
    write(draw, (_MARGIN_PX, baseline), words, 15, CAUTION, "ls")
    version = f"BrainTumorSeg {__version__}  ·  R: patient's right, L: left"
    write(draw, (_WIDTH_PX - _MARGIN_PX, baseline), version, 15, QUIET, "rs")
