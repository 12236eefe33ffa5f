"""Axial slices as pictures: which to show, how bright, and the mask's outline on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw

from BrainTumorSegLib.engine.measurement.mask import bounding_box
from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.engine.output.preview.style import OUTLINE, QUIET, REVIEW, TEXT, font, write, write_on_plate
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Volume

FEW_SLICES = 12
MOST_SLICES = 18
_MARGIN_SLICES = 1
_BACKGROUND_SHARE = 0.2
_WINDOW_PERCENTILES = (1.0, 99.7)
# Stripped background is black: the darkest brain, this share of the range above it, stays apart.
_DARKEST_BRAIN = 0.2
_HEAD_LEVEL = 30
_HEAD_SHARE = 0.02
_OUTLINE_OVERSAMPLING = 2
_FILL_OPACITY = 0.1
_PADDING_PX = 8
_RIM_PX = 2

Box = tuple[slice, slice]


@dataclass(frozen=True)
class SliceStack:
    """The chosen axial slices, cropped to the head they show.

    grey: uint8 [N, rows, columns]; mask: bool, same shape; row 0 anterior, column 0 the patient's right.
    pixel_mm: height and width of a pixel. scores: the N slices' scores. to_review: indices of the study's slices that
    need a second look.
    """

    grey: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    pixel_mm: tuple[float, float]
    scores: tuple[SliceScore, ...]
    to_review: frozenset[int]

    @property
    def aspect(self) -> float:
        """Height over width of a slice in the patient."""
        return (self.grey.shape[1] * self.pixel_mm[0]) / (self.grey.shape[2] * self.pixel_mm[1])


def slice_stack(
    flair: Volume, mask: npt.NDArray[np.bool_], scores: tuple[SliceScore, ...], to_review: frozenset[int] = frozenset()
) -> SliceStack:
    """The slices worth showing: through the tumour, or through the whole head where there is none.

    mask: bool [K, J, I] on FLAIR's grid; scores: of every axial slice; to_review: which of them need a second look.
    """
    order = AxialOrder.of(flair.geometry)
    mask = order.to_axial(mask)
    shown = choose_slices(np.array([np.count_nonzero(plane) for plane in mask]))
    grey = windowed(order.to_axial(flair.array)[shown])
    chosen_mask = mask[shown]
    box = _head_box(grey, chosen_mask)
    return SliceStack(
        grey[:, box[0], box[1]],
        chosen_mask[:, box[0], box[1]],
        order.spacing_mm[1:],
        tuple(scores[index] for index in shown),
        to_review,
    )


def choose_slices(areas: npt.NDArray[np.integer]) -> list[int]:
    """Slice indices, rising: the tumour and one slice beyond, filled up with those around it to whole rows of pictures.

    areas: mask pixels of every axial slice. FEW_SLICES where these suffice, else MOST_SLICES; a longer tumour is shown
    by slices evenly apart, the largest included. Without a mask: FEW_SLICES evenly through the whole stack.
    """
    occupied = np.flatnonzero(areas)
    if occupied.size == 0:
        return _evenly(0, len(areas) - 1, FEW_SLICES)
    first, last = int(occupied[0]), int(occupied[-1])
    wanted = last - first + 1 + 2 * _MARGIN_SLICES
    length = min(len(areas), max(wanted, FEW_SLICES if wanted <= FEW_SLICES else MOST_SLICES))
    start = min(max(0, (first + last + 1 - length) // 2), len(areas) - length)
    shown = _evenly(start, start + length - 1, MOST_SLICES)
    largest = int(np.argmax(areas))
    if largest not in shown:
        shown[int(np.argmin(np.abs(np.array(shown) - largest)))] = largest
    return shown


def windowed(slices: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Brightness 0-255 of float32 slices [N, rows, columns], from the percentiles of what is not background.

    A value that fills a fifth of the picture is the background that skull stripping or masking left; it becomes
    black, even where brain is darker (z-scored images).
    """
    values, counts = np.unique(slices[:, ::4, ::4], return_counts=True)
    stripped = counts.max() > _BACKGROUND_SHARE * counts.sum()
    empty = slices == values[counts.argmax()] if stripped else np.zeros(slices.shape, bool)
    inside = slices[~empty]
    if inside.size == 0:
        return np.zeros(slices.shape, np.uint8)
    low, high = np.percentile(inside[:: max(1, inside.size // 200_000)], _WINDOW_PERCENTILES)
    if stripped:
        low -= _DARKEST_BRAIN * (high - low)
    scaled = np.clip((slices - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1)
    grey: npt.NDArray[np.uint8] = (np.where(empty, 0, scaled) * 255 + 0.5).astype(np.uint8)
    return grey


def tile(stack: SliceStack, position: int, width_px: int) -> Image.Image:
    """One slice as an RGB picture ``width_px`` wide in true proportion, with outline, sides, number and measures."""
    size = (width_px, max(1, round(width_px * stack.aspect)))
    picture = Image.fromarray(stack.grey[position]).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    _paint_mask(picture, stack.mask[position])
    score = stack.scores[position]
    _label(picture, score)
    if score.index in stack.to_review:
        draw = ImageDraw.Draw(picture)
        beside = _PADDING_PX + draw.textlength(f"{score.index + 1}", font=font(20)) + _PADDING_PX
        write(draw, (beside, _PADDING_PX + 5), "review", 14, REVIEW, "la", _RIM_PX)
    return picture


def _paint_mask(picture: Image.Image, mask: npt.NDArray[np.bool_]) -> None:
    box = bounding_box(mask)
    if box is None:
        return
    height, width = mask.shape
    across, down = picture.width / width, picture.height / height
    left, right = _span(box[1], across, picture.width)
    top, bottom = _span(box[0], down, picture.height)
    size = (right - left, bottom - top)
    # What is drawn of the mask's own box is what a picture of the whole mask has there.
    smooth = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (_OUTLINE_OVERSAMPLING * size[0], _OUTLINE_OVERSAMPLING * size[1]),
        Image.Resampling.BILINEAR,
        (left / across, top / down, right / across, bottom / down),
    )
    inside = np.asarray(smooth) > 127
    edge = Image.fromarray(_border(inside)).resize(size, Image.Resampling.BOX)
    fill = Image.fromarray(inside * np.uint8(255 * _FILL_OPACITY)).resize(size, Image.Resampling.BOX)
    picture.paste(OUTLINE, (left, top), ImageChops.lighter(fill, edge))


def _span(part: slice, scale: float, length: int) -> tuple[int, int]:
    """The picture's pixels, first and one past the last, that show a part of a mask's side with the line around it."""
    margin = math.ceil(2 * scale) + 1
    return max(0, math.floor(part.start * scale) - margin), min(length, math.ceil(part.stop * scale) + margin)


def _border(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """255 at the pixels on either side of the border of a mask [rows, columns]: a line two pixels wide."""
    border = np.zeros(inside.shape, np.uint8)
    across = (inside[:, 1:] ^ inside[:, :-1]) * np.uint8(255)
    down = (inside[1:] ^ inside[:-1]) * np.uint8(255)
    for part, change in ((border[:, 1:], across), (border[:, :-1], across), (border[1:], down), (border[:-1], down)):
        np.maximum(part, change, out=part)
    return border


def _label(picture: Image.Image, score: SliceScore) -> None:
    draw = ImageDraw.Draw(picture)
    middle, bottom, right = picture.height // 2, picture.height - _PADDING_PX, picture.width - _PADDING_PX
    write(draw, (_PADDING_PX, _PADDING_PX), f"{score.index + 1}", 20, TEXT, "la", _RIM_PX)
    write(draw, (right, _PADDING_PX + 3), f"z {score.position_mm:+.0f} mm", 13, QUIET, "ra", _RIM_PX)
    write_on_plate(draw, (_PADDING_PX, middle), "R", 16, TEXT, "lm")
    write_on_plate(draw, (right, middle), "L", 16, TEXT, "rm")
    probability = f"P {score.tumour_probability:.2f}" + ("" if score.segmented else " · left out")
    write(draw, (_PADDING_PX, bottom), probability, 13, QUIET, "ls", _RIM_PX)
    if score.area_mm2 > 0:
        write(draw, (right, bottom), f"{score.area_mm2:,.0f} mm²", 13, OUTLINE, "rs", _RIM_PX)


def _evenly(first: int, last: int, most: int) -> list[int]:
    count = min(most, last - first + 1)
    return [int(index) for index in np.round(np.linspace(first, last, count))]


def _head_box(grey: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> Box:
    """Rows and columns that hold the head in any slice, the mask and a small margin."""
    bright = grey > _HEAD_LEVEL
    rows = (bright.mean(axis=2) > _HEAD_SHARE).any(axis=0)
    columns = (bright.mean(axis=1) > _HEAD_SHARE).any(axis=0)
    head = rows[:, None] & columns[None, :] | mask.any(axis=0)
    box = bounding_box(head)
    if box is None:
        return slice(0, grey.shape[1]), slice(0, grey.shape[2])
    return _widened(box[0], grey.shape[1]), _widened(box[1], grey.shape[2])


def _widened(part: slice, length: int) -> slice:
    margin = 1 + (part.stop - part.start) // 25
    return slice(max(0, part.start - margin), min(length, part.stop + margin))
