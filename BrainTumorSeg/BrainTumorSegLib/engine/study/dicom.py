"""DICOM series: which ones a folder holds, the one that plays a role, and its slices as one volume."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.acceptance import check_grid, check_pixels
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import ECHO_TIME, HINT_TAGS, SERIES_DESCRIPTION, is_volume, role_of

logger = logging.getLogger(__name__)

MODALITY = "0008|0060"
SERIES_UID = "0020|000e"
ACQUISITION_NUMBER = "0020|0012"
INSTANCE_NUMBER = "0020|0013"
# Slice positions may differ from an even stack by this part of the slice distance (rounded headers).
EVENNESS = 0.1


@dataclass(frozen=True)
class DicomSeries:
    """One series of a folder: its UID, its files, and the tags that hint at its sequence (of the first file).

    frames: how many images it holds, those of multi-frame files counted singly. damaged: how many DICOM files beside
    its own could not be read and belong to any series.
    """

    uid: str
    files: tuple[Path, ...]
    tags: Mapping[str, str]
    modality: str
    frames: int
    damaged: int

    @property
    def description(self) -> str:
        """The series description, never empty."""
        return self.tags.get(SERIES_DESCRIPTION, "").strip() or "no description"


@dataclass(frozen=True)
class _SliceHeader:
    """Position and order of one single-frame file."""

    path: Path
    geometry: Geometry
    order: tuple[float, ...]


def is_dicom_file(path: Path) -> bool:
    """Whether GDCM reads this file as an image."""
    return sitk.ImageFileReader.GetImageIOFromFileName(str(path)) == "GDCMImageIO"


def find_series(folder: Path) -> tuple[DicomSeries, ...]:
    """The image series of a folder, or of all its subfolders where it holds none itself; ordered by UID."""
    series = _series_in(folder)
    if not series:
        subfolders = (Path(parent, name) for parent, names, _ in os.walk(folder) for name in names)
        series = [one for subfolder in subfolders for one in _series_in(subfolder)]
    return tuple(sorted(series, key=lambda one: one.uid))


def _series_in(folder: Path) -> list[DicomSeries]:
    """The image series whose files lie directly in the folder."""
    uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    names = {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid) for uid in uids}
    damaged = _dicom_files(folder) - {Path(name) for series in names.values() for name in series}
    return [one for uid in uids if (one := _series(uid, tuple(map(Path, names[uid])), len(damaged))) is not None]


def _dicom_files(folder: Path) -> set[Path]:
    """The files of a folder that say that they are DICOM, their directory file apart."""
    files = (path for path in folder.iterdir() if path.is_file() and path.name.upper() != "DICOMDIR")
    return {path for path in files if _begins_as_dicom(path)}


def _begins_as_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _series(uid: str, files: tuple[Path, ...], damaged: int) -> DicomSeries | None:
    """A series of these files; None if it holds no image (reports, presentation states)."""
    try:
        reader = _header(files[0])
    except RuntimeError as error:
        logger.info("A DICOM series without images was left out: %s", type(error).__name__)
        return None
    tags = {tag: reader.GetMetaData(tag).strip() for tag in HINT_TAGS if reader.HasMetaDataKey(tag)}
    return DicomSeries(uid, files, tags, _text(reader, MODALITY), len(files) * reader.GetSize()[2], damaged)


def choose_series(folder: Path, role: Role) -> DicomSeries:
    """The one series of a folder that plays the role.

    A sole MR volume is taken as it is. Among several, the header's hints must speak for exactly one. Raises
    InputError otherwise, with the series that were found (description and number of slices, no patient data).
    """
    found = find_series(folder)
    if not found:
        raise InputError(
            f"{role.label}: the folder {folder} holds no DICOM images.", "Choose the folder with the series' files."
        )
    volumes = [one for one in found if one.modality == "MR" and is_volume(one.tags)]
    fitting = [one for one in volumes if role_of(one.tags) is role]
    chosen = volumes if len(volumes) == 1 else fitting
    if len(chosen) == 1:
        return chosen[0]
    count = f"{len(fitting)} series fit" if fitting else "no series fits"
    raise InputError(
        f"{role.label}: {count} among the {len(found)} in {folder}: {_listing(fitting or found)}.",
        "Choose a folder with the one series, or one file of that series.",
    )


def series_of_file(path: Path) -> DicomSeries:
    """The series to which a DICOM file belongs, with its other files in the same folder.

    Raises InputError if the folder's files can't be read as a series.
    """
    uid = _text(_header(path), SERIES_UID)
    series = next((one for one in _series_in(path.parent) if one.uid == uid), None)
    if series is None:
        raise InputError(f"The DICOM file {path} belongs to no series.", "Export the series again.")
    return series


def read_series(series: DicomSeries, role: Role) -> tuple[sitk.Image, tuple[str, ...]]:
    """The series as a three-dimensional float32 image in LPS, and warnings for the user.

    Of repeated positions (several echoes, time points) the first is taken. Raises InputError for colour or too few
    images, GeometryError for slices that are not one even stack.
    """
    warnings = _role_warnings(series, role) + _damage_warnings(series, role)
    first = _header(series.files[0])
    check_pixels(role.label, first.GetNumberOfComponents(), first.GetPixelID())
    if first.GetSize()[2] > 1:
        return _read_multi_frame(series, role, warnings)
    slices, repeats = _one_per_position([_slice_header(path) for path in series.files])
    if repeats > 1:
        warnings += (first_frame_warning(role, repeats),)
    check_stack(role, [one.geometry for one in slices])
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)
    reader.SetFileNames([str(one.path) for one in slices])
    return reader.Execute(), warnings


def check_stack(role: Role, slices: Sequence[Geometry]) -> None:
    """Refuses slices, sorted along their normal, that do not form one even, straight stack.

    Raises InputError if they are too few or too many, GeometryError if orientation, size or distances differ.
    """
    first = slices[0]
    if any(one.size_ijk != first.size_ijk or not np.allclose(one.direction_lps, first.direction_lps, atol=1e-3)
           or not np.allclose(one.spacing_mm[:2], first.spacing_mm[:2], rtol=1e-3) for one in slices):  # fmt: skip
        raise GeometryError(
            f"{role.label}: the slices of this DICOM series differ in size, spacing or orientation.",
            "Choose a series of parallel slices, not a localiser.",
        )
    origins = np.array([one.origin_lps for one in slices])
    gap = float(np.median(np.linalg.norm(np.diff(origins, axis=0), axis=1))) if len(slices) > 1 else 1.0
    columns, rows, _ = first.size_ijk
    grid = Geometry((columns, rows, len(slices)), (*first.spacing_mm[:2], gap), first.origin_lps, first.direction_lps)
    check_grid(role.label, grid)
    even = origins[0] + np.outer(np.arange(len(slices)) * gap, _normal(first))
    if np.abs(origins - even).max() > max(EVENNESS * gap, 0.05):
        steps = np.linalg.norm(np.diff(origins, axis=0), axis=1)
        raise GeometryError(
            f"{role.label}: the {len(slices)} slices of this DICOM series are not evenly spaced "
            f"({steps.min():.2f} to {steps.max():.2f} mm apart). Slices are missing, or the stack is sheared.",
            "Export the whole series again.",
        )


def _read_multi_frame(series: DicomSeries, role: Role, warnings: tuple[str, ...]) -> tuple[sitk.Image, tuple[str, ...]]:
    """The first file of a series whose files are whole volumes (enhanced MR)."""
    if len(series.files) > 1:
        warnings += (first_frame_warning(role, len(series.files)),)
    check_grid(role.label, _header_geometry(_header(series.files[0])))
    return sitk.ReadImage(str(series.files[0]), sitk.sitkFloat32, "GDCMImageIO"), warnings


def first_frame_warning(role: Role, frames: int) -> str:
    """What the user is told where a sequence holds more than one volume."""
    return f"{role.label} has {frames} volumes (echoes or time points); the first one is used."


def _role_warnings(series: DicomSeries, role: Role) -> tuple[str, ...]:
    """A warning where the header says that the series is another sequence than it is used as."""
    says = role_of(series.tags)
    if says is None or says is role:
        return ()
    return (f"The series used as {role.label} looks like {says.label} by its header ({series.description}).",)


def _damage_warnings(series: DicomSeries, role: Role) -> tuple[str, ...]:
    """A warning where files of the folder were unreadable: they may be the missing ends of this series."""
    if not series.damaged:
        return ()
    files = "1 DICOM file is" if series.damaged == 1 else f"{series.damaged} DICOM files are"
    return (f"{files} damaged and left out, so {role.label} may be incomplete: copy or export the folder again.",)


def _listing(series: Sequence[DicomSeries]) -> str:
    shown = [f"{one.description} ({one.frames} slices, {one.modality})" for one in series[:12]]
    return "; ".join(shown + ([f"and {len(series) - 12} more"] if len(series) > 12 else []))


def _one_per_position(headers: list[_SliceHeader]) -> tuple[list[_SliceHeader], int]:
    """One header per slice position, sorted along the normal, and how often a position occurs at most."""
    normal = _normal(headers[0].geometry)
    groups: dict[float, list[_SliceHeader]] = {}
    for one in headers:
        groups.setdefault(round(float(np.dot(one.geometry.origin_lps, normal)), 2), []).append(one)
    slices = [min(groups[position], key=lambda one: one.order) for position in sorted(groups)]
    return slices, max(map(len, groups.values()))


def _slice_header(path: Path) -> _SliceHeader:
    reader = _header(path)
    order = tuple(_float(reader, tag) for tag in (ECHO_TIME, ACQUISITION_NUMBER, INSTANCE_NUMBER))
    return _SliceHeader(path, _header_geometry(reader), order)


def _header(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _header_geometry(reader: sitk.ImageFileReader) -> Geometry:
    return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def _normal(geometry: Geometry) -> np.ndarray:
    """The unit normal of the slice plane: columns' direction x rows' direction."""
    return np.reshape(geometry.direction_lps, (3, 3))[:, 2]


def _text(reader: sitk.ImageFileReader, tag: str) -> str:
    return reader.GetMetaData(tag).strip().strip("\0") if reader.HasMetaDataKey(tag) else ""


def _float(reader: sitk.ImageFileReader, tag: str) -> float:
    """A numeric attribute for sorting; 0 where it is absent or not a number."""
    try:
        return float(_text(reader, tag))
    except ValueError:
        return 0.0
