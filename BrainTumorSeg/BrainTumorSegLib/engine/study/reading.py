"""Files and folders in, a Study out: every sequence read, checked and brought to FLAIR's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, GeometryError, InputError, Remedy
from BrainTumorSegLib.engine.study import dicom
from BrainTumorSegLib.engine.study.acceptance import (
    check_grid,
    check_pixels,
    check_size,
    finite_voxels,
    thick_slice_warnings,
)
from BrainTumorSegLib.engine.study.compressed import check_compressed
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.nifti import check_nifti
from BrainTumorSegLib.engine.study.registration import Registration, register_rigidly
from BrainTumorSegLib.engine.study.resampling import covered_fraction, resample_to_grid
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.study import Source, Study

NIFTI_SUFFIXES = (".nii", ".nii.gz")
SUFFIXES = (*NIFTI_SUFFIXES, ".nrrd", ".nhdr", ".mha", ".mhd")
# Less of FLAIR's head than this in another sequence's field of view is worth a look.
GOOD_COVERAGE = 0.9
# Less than this, and the other sequence says nothing about this head.
USABLE_COVERAGE = 0.05


@dataclass(frozen=True)
class StudyPaths:
    """A file (NIfTI, NRRD, MetaImage, DICOM) or DICOM folder per sequence; None where there is none."""

    flair: Path
    t1: Path | None = None
    t1c: Path | None = None


@dataclass(frozen=True)
class _Sequence:
    """One sequence as read: float32 finite image on its own grid, where it came from, what to tell the user."""

    role: Role
    image: sitk.Image
    source: Source | None
    warnings: tuple[str, ...]


def read_study(paths: StudyPaths) -> Study:
    """Reads a study and resamples T1 and T1c to FLAIR's grid by their headers.

    A poor overlap of the headers is a warning. Raises InputError or GeometryError, each with what to do, for a file
    that is missing, unreadable, of another format, or not a usable volume.
    """
    return _assemble(_read_all(paths, never))


def read_registered_study(paths: StudyPaths, is_cancelled: Callable[[], bool]) -> Study:
    """As ``read_study``, but T1 and T1c are first registered rigidly to FLAIR. Raises Cancelled as well."""
    return _assemble(_read_all(paths, is_cancelled), is_cancelled, register=True)


def study_from_images(flair: sitk.Image, t1: sitk.Image | None = None, t1c: sitk.Image | None = None) -> Study:
    """A study of images in memory, with the same checks and warnings as one that is read.

    Images of any real scalar type, 3D or 4D (first frame). The study's sources are empty.
    """
    images = {Role.FLAIR: flair, Role.T1: t1, Role.T1C: t1c}
    return _assemble([_accepted(role, image, None, ()) for role, image in images.items() if image is not None])


def never() -> bool:
    """The answer of a caller that cannot cancel."""
    return False


def _read_all(paths: StudyPaths, is_cancelled: Callable[[], bool]) -> list[_Sequence]:
    given = {Role.FLAIR: paths.flair, Role.T1: paths.t1, Role.T1C: paths.t1c}
    sequences = []
    for role, path in given.items():
        if is_cancelled():
            raise Cancelled
        if path is not None:
            with _quiet_itk():
                sequences.append(_read_sequence(role, Path(path)))
    return sequences


def _assemble(sequences: list[_Sequence], is_cancelled: Callable[[], bool] = never, register: bool = False) -> Study:
    """FLAIR first, then the others brought to its grid."""
    flair = sequences[0]
    geometry = Geometry.of_image(flair.image)
    warnings = [*flair.warnings, *thick_slice_warnings(flair.role.label, geometry)]
    remedies: dict[Remedy, None] = {}  # an ordered set
    arrays = {flair.role: sitk.GetArrayFromImage(flair.image)}
    for other in sequences[1:]:
        warnings += other.warnings
        image, notes, helping = _onto_flair(flair.image, other, is_cancelled, register)
        arrays[other.role] = sitk.GetArrayFromImage(image)
        warnings += notes
        remedies |= dict.fromkeys(helping)
    return Study(
        arrays[Role.FLAIR],
        geometry,
        arrays.get(Role.T1),
        arrays.get(Role.T1C),
        sources={one.role.value: one.source for one in sequences if one.source is not None},
        warnings=tuple(warnings),
        remedies=tuple(remedies),
    )


def _onto_flair(
    flair: sitk.Image, other: _Sequence, is_cancelled: Callable[[], bool], register: bool
) -> tuple[sitk.Image, tuple[str, ...], tuple[Remedy, ...]]:
    """A sequence on FLAIR's grid, the warnings about how it got there, and what would help against them.

    Raises InputError if it shows (almost) nothing of FLAIR's head.
    """
    found = register_rigidly(flair, other.image, is_cancelled) if register else None
    transform = found.transform if found else None
    covered = covered_fraction(flair, Geometry.of_image(other.image), transform)
    if covered < USABLE_COVERAGE:
        raise GeometryError(
            f"{other.role.label} covers {covered:.0%} of the head in FLAIR: by their headers they lie apart.",
            "Check that both belong to the same examination, "
            + ("or leave this sequence out." if register else "register it to FLAIR, or leave it out."),
            None if register else Remedy.REGISTER,
        )
    warnings = [_moved(other.role, found)] if found else []
    if covered < GOOD_COVERAGE:
        warnings.append(
            f"{other.role.label} covers only {covered:.0%} of the head in FLAIR. Its field of view is smaller, or the "
            "headers do not fit: check how they overlay" + ("." if register else ", or register it to FLAIR.")
        )
    remedies = (Remedy.REGISTER,) if covered < GOOD_COVERAGE and not register else ()
    return resample_to_grid(other.image, flair, transform), tuple(warnings), remedies


def _moved(role: Role, found: Registration) -> str:
    shift, angle = f"{found.shift_mm:.1f}", f"{found.angle_degrees:.1f}"
    return f"{role.label} was moved by {shift} mm and turned by {angle} degrees to fit FLAIR."


def _read_sequence(role: Role, path: Path) -> _Sequence:
    """Reads whatever the path is. Raises InputError that names the path and what to do."""
    if not path.exists():
        raise InputError(f"{role.label}: {path} does not exist.", "Check the path.")
    try:
        if path.is_dir():
            return _read_dicom(role, path, dicom.choose_series(path, role))
        if path.name.lower().endswith(SUFFIXES):
            return _read_file(role, path)
        if dicom.is_dicom_file(path):
            return _read_dicom(role, path, dicom.series_of_file(path))
    except (RuntimeError, OSError) as error:
        raise _unreadable(role, path, error) from error
    raise InputError(
        f"{role.label}: {path} has a format that is not supported.",
        f"Use a DICOM folder or a file that ends in {', '.join(SUFFIXES)}.",
    )


def _unreadable(role: Role, path: Path, error: Exception) -> InputError:
    """What ITK could not read, in our words; its own are in the chained exception."""
    if "orthonormal" in str(error):
        return GeometryError(
            f"{role.label}: {path} has axes that are not perpendicular in its header (sform and qform).",
            "Convert the original DICOM series again, or correct the header.",
        )
    return InputError(
        f"{role.label}: {path} can't be read. It is damaged, incomplete, or not what its name says.",
        "Copy or export it again.",
    )


def _read_dicom(role: Role, path: Path, series: dicom.DicomSeries) -> _Sequence:
    image, warnings = dicom.read_series(series, role)
    return _accepted(role, image, Source(path, series.uid), warnings)


def _read_file(role: Role, path: Path) -> _Sequence:
    """Reads the first frame of a volume file after its header was found acceptable."""
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        check_nifti(role.label, path)
    check_compressed(role.label, path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    check_size(role.label, size)
    check_pixels(role.label, reader.GetNumberOfComponents(), reader.GetPixelID())
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
    warnings = _frame_warnings(role, size)
    return _accepted(role, reader.Execute(), Source(path), warnings)


def _accepted(role: Role, image: sitk.Image, source: Source | None, warnings: tuple[str, ...]) -> _Sequence:
    """The image as a finite float32 volume, checked. Raises InputError, GeometryError."""
    size = image.GetSize()
    check_size(role.label, size)
    check_pixels(role.label, image.GetNumberOfComponentsPerPixel(), image.GetPixelID())
    if len(size) > 3:
        warnings += _frame_warnings(role, size)
        image = sitk.Extract(image, [*size[:3], *(0 for _ in size[3:])], [0] * len(size))
    check_grid(role.label, Geometry.of_image(image))
    image = sitk.Cast(image, sitk.sitkFloat32)  # a double beyond float32 becomes infinite and is replaced below
    view = sitk.GetArrayViewFromImage(image)
    array, notes = finite_voxels(role.label, view)
    if array is not view:
        repaired = sitk.GetImageFromArray(array)
        repaired.CopyInformation(image)
        image = repaired
    return _Sequence(role, image, source, warnings + notes)


def _frame_warnings(role: Role, size: tuple[int, ...]) -> tuple[str, ...]:
    frames = int(np.prod(size[3:]))
    return (dicom.first_frame_warning(role, frames),) if frames > 1 else ()


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """Keeps ITK's own warnings, which name paths, off stderr; what matters in them is checked here."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
