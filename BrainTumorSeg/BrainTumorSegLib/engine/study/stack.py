"""Frames as one even stack: the only place that decides which DICOM image lies where, whatever file it came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.acceptance import check_grid, check_size
from BrainTumorSegLib.engine.study.frames import Frame
from BrainTumorSegLib.engine.study.geometry import Geometry

# Slice positions may differ from an even stack by this part of the slice distance (rounded headers).
EVENNESS = 0.1
# Images closer than this lie at one place (mm).
SAME_PLACE_MM = 0.01
_ATTRIBUTES = {
    "position_lps": "ImagePositionPatient (0020,0032)",
    "row_lps": "ImageOrientationPatient (0020,0037)",
    "pixel_mm": "PixelSpacing (0028,0030)",
}


def stack(title: str, frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], Geometry]:
    """The frames in the order in which they lie along their normal, and their grid.

    title: how messages call the sequence. The order of the files and of the frames in them means nothing. Raises
    InputError for too few images, GeometryError for images that do not say where they lie, that differ in size, spacing
    or orientation, of which several lie at one place, or which leave a gap.
    """
    _check_complete(title, frames)
    _check_alike(title, frames)
    first = frames[0]
    row, column = np.array(first.row_lps), np.array(first.column_lps)
    normal = np.cross(row, column)
    positions = np.array([frame.position_lps for frame in frames])
    along = _along(frames)
    order = np.argsort(along, kind="stable")
    _check_single(title, along[order])
    check_size(title, (first.layout.columns, first.layout.rows, len(frames)))
    gap = float(along[order[-1]] - along[order[0]]) / (len(frames) - 1)
    geometry = Geometry(
        size_ijk=(first.layout.columns, first.layout.rows, len(frames)),
        spacing_mm=_three((*np.array(first.pixel_mm), gap)),
        origin_lps=_three(positions[order[0]]),
        direction_lps=tuple(float(cosine) for cosine in np.column_stack([row, column, normal]).ravel()),
    )
    check_grid(title, geometry)
    _check_even(title, positions[order], normal)
    return tuple(frames[index] for index in order), geometry


def places(frames: Sequence[Frame]) -> tuple[int, ...] | None:
    """For every frame the number of its place along the normal, from 0; the same number for images of one place.

    None where frames do not say where they lie, or lie in several orientations.
    """
    try:
        _check_complete("", frames)
        _check_alike("", frames)
    except InputError:
        return None
    along = _along(frames)
    order = np.argsort(along, kind="stable")
    numbers = np.empty(len(frames), dtype=np.intp)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(along[order]) > SAME_PLACE_MM)])
    return tuple(int(number) for number in numbers)


def _along(frames: Sequence[Frame]) -> npt.NDArray[np.float64]:
    normal = np.cross(np.array(frames[0].row_lps), np.array(frames[0].column_lps))
    return np.array([frame.position_lps for frame in frames]) @ normal


def _check_complete(title: str, frames: Sequence[Frame]) -> None:
    for attribute, name in _ATTRIBUTES.items():
        missing = sum(getattr(frame, attribute) is None for frame in frames)
        if missing:
            raise GeometryError(
                f"{title}: {missing} of the {len(frames)} images of this DICOM series have no {name}, so where they "
                "lie is unknown.",
                "Export the original series, not a copy without its positions.",
            )
        values = [getattr(frame, attribute) for frame in frames]
        if not np.isfinite(values).all():
            raise GeometryError(
                f"{title}: the {name} of this DICOM series holds values that are no numbers.", "Export it again."
            )


def _check_alike(title: str, frames: Sequence[Frame]) -> None:
    sizes = {(frame.layout.columns, frame.layout.rows) for frame in frames}
    axes = np.array([(frame.row_lps, frame.column_lps) for frame in frames])
    pixels = np.array([frame.pixel_mm for frame in frames])
    if len(sizes) > 1 or not (np.allclose(axes, axes[0], atol=1e-3) and np.allclose(pixels, pixels[0], rtol=1e-3)):
        raise GeometryError(
            f"{title}: the slices of this DICOM series differ in size, spacing or orientation.",
            "Choose a series of parallel slices, not a localiser.",
        )


def _check_single(title: str, along: npt.NDArray[np.float64]) -> None:
    """along: sorted positions."""
    count = 1 + int(np.count_nonzero(np.diff(along) > SAME_PLACE_MM))
    if count < len(along):
        raise GeometryError(
            f"{title}: this DICOM series has {len(along)} images for {count} places, and nothing in their headers "
            "parts them into volumes.",
            "Export the one volume as a series of its own.",
        )


def _check_even(title: str, positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]) -> None:
    """positions: [slices, 3], sorted along the normal. Refuses gaps, and stacks that lean."""
    steps = np.diff(positions, axis=0)
    distances = steps @ normal
    usual = float(np.sort(distances)[(len(distances) - 1) // 2])  # the median; of two the smaller: gaps are wide
    wide = np.flatnonzero(np.abs(distances - usual) > max(EVENNESS * usual, 0.05))
    if wide.size:
        raise GeometryError(
            f"{title}: the {len(positions)} slices of this DICOM series are not evenly spaced: "
            f"{_steps(distances, wide)}, but {usual:.2f} mm elsewhere. Slices are missing, or volumes are mixed.",
            "Export the whole series again.",
        )
    even = positions[0] + np.outer(np.arange(len(positions)) * float(distances.mean()), normal)
    off = float(np.abs(positions - even).max())
    if off > max(EVENNESS * usual, 0.05):
        raise GeometryError(
            f"{title}: the slices of this DICOM series lie up to {off:.2f} mm beside a straight, even stack: it is "
            "sheared (a tilted gantry), or its positions are wrong.",
            "Resample it to a rectangular grid, or export the series again.",
        )


def _steps(distances: npt.NDArray[np.float64], wide: npt.NDArray[np.intp]) -> str:
    shown = [f"{distances[at]:.2f} mm between slices {at + 1} and {at + 2}" for at in wide[:3]]
    return ", ".join(shown) + (f" and {len(wide) - 3} more places" if len(wide) > 3 else "")


def _three(values: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))
