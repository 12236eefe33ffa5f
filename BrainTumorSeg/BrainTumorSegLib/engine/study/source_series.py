"""The DICOM images that a volume was read from, without their pixels: for objects that refer to them.

Read by pydicom, whose datasets such objects are made of; imported only where one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.geometry import Geometry

if TYPE_CHECKING:
    from pydicom import Dataset

# Slice positions may differ from an even stack by this part of the slice distance (rounded headers).
_EVENNESS = 0.1


@dataclass(frozen=True)
class SourceSeries:
    """One volume's images.

    images: datasets without pixels; one a slice, or a single one with many frames. geometry: the grid of the volume
    with slices along the normal of their plane. slice_of_frame: for each frame, in the order of the images, its k.
    """

    images: tuple[Dataset, ...]
    geometry: Geometry
    slice_of_frame: tuple[int, ...]


@dataclass(frozen=True)
class _Plane:
    """Where one frame lies: DICOM's position (mm), orientation (6 cosines), pixel spacing (rows, columns; mm)."""

    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    spacing: npt.NDArray[np.float64]


def read_source_series(paths: Sequence[Path], series_uid: str | None = None) -> SourceSeries:
    """The images of one series among files and folders (with their subfolders).

    series_uid: of the series; None takes the only one with image planes. Of repeated positions (echoes, time points)
    the first is taken, as for the volume. Raises InputError for no or several series or images without what a DICOM
    object needs from them, GeometryError for slices that are not one even stack.
    """
    series: dict[str, list[Dataset]] = {}
    for dataset in _headers(paths):
        series.setdefault(str(dataset.SeriesInstanceUID), []).append(dataset)
    if series_uid is not None:
        series = {uid: images for uid, images in series.items() if uid == series_uid}
    if len(series) != 1:
        raise InputError(
            f"{len(series) or 'No'} DICOM series of images {'are' if series else 'is'} there, but one is needed.",
            "Give the files of the FLAIR series alone.",
        )
    images = next(iter(series.values()))
    if "FrameOfReferenceUID" not in images[0]:
        raise InputError(
            "The DICOM images name no frame of reference, so nothing can refer to places in them.",
            "Export the series again from the archive, or write the segmentation as .seg.nrrd.",
        )
    multi_frame = [image for image in images if "PerFrameFunctionalGroupsSequence" in image]
    return _of_frames(min(multi_frame, key=_order)) if multi_frame else _of_slices(images)


def _headers(paths: Sequence[Path]) -> Iterator[Dataset]:
    """The header of every DICOM file with image planes."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for path in paths:
        for file in sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]:
            try:
                dataset = dcmread(file, stop_before_pixels=True)
            except InvalidDicomError:
                continue  # a text, a picture: folders hold such
            if "SeriesInstanceUID" in dataset and ("ImagePositionPatient" in dataset or _is_enhanced(dataset)):
                yield dataset


def _is_enhanced(dataset: Dataset) -> bool:
    """Whether these are the frames of a volume, and not a segmentation of one."""
    return "PerFrameFunctionalGroupsSequence" in dataset and dataset.get("Modality") != "SEG"


def _of_slices(images: list[Dataset]) -> SourceSeries:
    first = _plane(images[0], images[0], images[0])
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    at: dict[float, Dataset] = {}
    for image in sorted(images, key=_order):
        at.setdefault(round(float(_numbers(image, "ImagePositionPatient") @ normal), 2), image)
    slices = [at[place] for place in sorted(at)]
    geometry = _stack([_plane(one, one, one) for one in slices], slices[0])
    return SourceSeries(tuple(slices), geometry, tuple(range(len(slices))))


def _of_frames(image: Dataset) -> SourceSeries:
    shared = image.get("SharedFunctionalGroupsSequence", [None])[0]
    planes = [
        _plane(
            _group("PlanePositionSequence", frame, shared),
            _group("PlaneOrientationSequence", frame, shared),
            _group("PixelMeasuresSequence", frame, shared),
        )
        for frame in image.PerFrameFunctionalGroupsSequence
    ]
    normal = np.cross(planes[0].orientation[:3], planes[0].orientation[3:])
    order = np.argsort([plane.position @ normal for plane in planes], kind="stable")
    geometry = _stack([planes[n] for n in order], image)
    return SourceSeries((image,), geometry, tuple(int(k) for k in np.argsort(order)))


def _group(name: str, frame: Dataset, shared: Dataset | None) -> Dataset:
    """A frame's own functional group, or the one that all frames share."""
    for holder in (frame, shared):
        if holder is not None and name in holder:
            return holder[name].value[0]
    raise _lacks(name)


def _plane(position: Dataset, orientation: Dataset, measures: Dataset) -> _Plane:
    return _Plane(
        _numbers(position, "ImagePositionPatient"),
        _numbers(orientation, "ImageOrientationPatient"),
        _numbers(measures, "PixelSpacing"),
    )


def _numbers(dataset: Dataset, keyword: str) -> npt.NDArray[np.float64]:
    value = dataset.get(keyword)
    if not value:
        raise _lacks(keyword)
    return np.array([float(part) for part in value])


def _lacks(keyword: str) -> InputError:
    return InputError(f"A DICOM image lacks its {keyword}.", "Export the series again.")


def _stack(planes: list[_Plane], image: Dataset) -> Geometry:
    """The grid of planes that are sorted along their normal. Raises GeometryError unless they are one even stack."""
    first, positions = planes[0], np.array([plane.position for plane in planes])
    row, column = first.orientation[:3], first.orientation[3:]
    normal = np.cross(row, column)
    gap = float((positions[-1] - positions[0]) @ normal) / max(1, len(planes) - 1)
    even = positions[0] + np.outer(np.arange(len(planes)) * gap, normal)
    alike = all(
        np.allclose(plane.orientation, first.orientation, atol=1e-3)
        and np.allclose(plane.spacing, first.spacing, rtol=1e-3)
        for plane in planes
    )
    if len(planes) < 2 or gap <= 0 or not alike or np.abs(positions - even).max() > max(_EVENNESS * gap, 0.05):
        raise GeometryError(
            f"The {len(planes)} frames of this DICOM series are not one even stack of slices.",
            "Slices are missing, or the series holds several volumes: export one whole volume.",
        )
    size = (int(image.Columns), int(image.Rows), len(planes))
    spacing = (float(first.spacing[1]), float(first.spacing[0]), gap)
    x, y, z = positions[0].tolist()
    return Geometry(size, spacing, (x, y, z), tuple(np.column_stack([row, column, normal]).ravel().tolist()))


def _order(image: Dataset) -> tuple[float, ...]:
    return tuple(_number(image.get(keyword)) for keyword in ("EchoTime", "AcquisitionNumber", "InstanceNumber"))


def _number(value: Any) -> float:
    """A numeric attribute for sorting; 0 where it is absent or empty."""
    return 0.0 if value in (None, "") else float(value)
