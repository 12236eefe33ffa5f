"""The DICOM images that a volume was read from, without their pixels: for objects that refer to them.

Which image lies where is settled as for the volume itself, in ``stack``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.dicom import DicomVolume, volumes_of_files
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.stack import stack


@dataclass(frozen=True)
class SourceSeries:
    """One volume's images.

    images: datasets without pixels; one a slice, or a single one with many frames. geometry: the grid of the volume
    with slices along the normal of their plane. slice_of_frame: for each frame, in the order of the images, its k.
    """

    images: tuple[Dataset, ...]
    geometry: Geometry
    slice_of_frame: tuple[int, ...]


def read_source_series(paths: Sequence[Path]) -> SourceSeries:
    """The images of the only volume among files and folders (with their subfolders).

    Raises InputError for no or several volumes, and as ``source_series_of`` does.
    """
    volumes = [one for one in volumes_of_files(_files(paths)) if one.frames[0].position_lps is not None]
    if len(volumes) != 1:
        raise InputError(
            f"{len(volumes) or 'No'} DICOM volumes are there, but one is needed.",
            "Give the files of the FLAIR series alone.",
        )
    return source_series_of(volumes[0])


def source_series_of(volume: DicomVolume) -> SourceSeries:
    """The images of a volume.

    Raises GeometryError for images that are not one even stack, InputError for images without a frame of reference, or
    a multi-frame file that holds other volumes beside this one.
    """
    frames, geometry = stack(Role.FLAIR.label, volume.frames)
    files = list(dict.fromkeys(frame.path for frame in frames))
    images = tuple(pydicom.dcmread(path, stop_before_pixels=True) for path in files)
    several = len(files) > 1 and any("PerFrameFunctionalGroupsSequence" in image for image in images)
    if several or any(frame.layout.frames != len(frames) // len(files) for frame in frames):
        raise InputError(
            "The DICOM images of the volume are neither a file each nor all that one multi-frame file holds.",
            "Export the FLAIR volume alone, or write the segmentation as .seg.nrrd.",
        )
    if any("FrameOfReferenceUID" not in image for image in images):
        raise InputError(
            "The DICOM images name no frame of reference, so nothing can refer to places in them.",
            "Export the series again from the archive, or write the segmentation as .seg.nrrd.",
        )
    # One frame a file in the order of the stack, or all frames of one file in its own order.
    in_files = sorted(range(len(frames)), key=lambda k: (files.index(frames[k].path), frames[k].index))
    return SourceSeries(images, geometry, tuple(in_files))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (Path(parent, name) for parent, _, names in os.walk(path) for name in sorted(names))
        else:
            yield path
