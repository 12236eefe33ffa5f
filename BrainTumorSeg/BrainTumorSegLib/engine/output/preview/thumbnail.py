"""A small picture of a result for a table of many: the slice with the largest area of tumour."""

from __future__ import annotations

from pathlib import Path

from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.output.preview.slices import slice_stack, tile
from BrainTumorSegLib.engine.study.geometry import Volume

WIDTH_PX = 240
_JPEG_QUALITY = 80


def render_thumbnail(result: Result, path: Path) -> None:
    """Write the slice with the outline as JPEG, 240 pixels wide; the middle one where there is no tumour.

    Raises OutputError where the file can't be written.
    """
    stack = slice_stack(Volume(result.study.flair, result.geometry), result.mask, result.slices)
    areas = [score.area_mm2 for score in stack.scores]
    position = max(range(len(areas)), key=areas.__getitem__) if any(areas) else len(areas) // 2
    with atomic_path(path) as temporary:
        tile(stack, position, WIDTH_PX).save(temporary, format="JPEG", quality=_JPEG_QUALITY)
