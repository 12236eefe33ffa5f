"""Files and folders in, a Study out: every sequence read, checked and brought to FLAIR's grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, InputError, Remedy
from BrainTumorSegLib.engine.paths import check_input, unreadable, utf8_text
from BrainTumorSegLib.engine.study.acceptance import (
    check_grid,
    check_pixels,
    check_size,
    finite_voxels,
    thick_slice_warnings,
)
from BrainTumorSegLib.engine.study.alignment import Alignment, IsCancelled, by_evidence, by_registration, onto_flair
from BrainTumorSegLib.engine.study.compressed import check_compressed
from BrainTumorSegLib.engine.study.continuity import continuity_warnings
from BrainTumorSegLib.engine.study.endings import IMAGE_ENDINGS, NIFTI_ENDINGS
from BrainTumorSegLib.engine.study.geometry import Geometry, voxels_of
from BrainTumorSegLib.engine.study.nifti import read_nifti
from BrainTumorSegLib.engine.study.padding import without_padding
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.study import Motion, Source, Study
from BrainTumorSegLib.engine.study.text_headers import check_text_header, read_text_header


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


def never() -> bool:
    """The answer of a caller that cannot cancel."""
    return False


def read_study(paths: StudyPaths, alignment: Alignment = by_evidence, is_cancelled: IsCancelled = never) -> Study:
    """Reads a study and brings T1 and T1c to FLAIR's grid.

    alignment: how their place is found; a motion, a poor overlap, and nothing to register where that was asked for, are
    each a warning. Raises InputError or GeometryError, each with what to do, for a file that is missing, unreadable, of
    another format, or not a usable volume; Cancelled.
    """
    return _assemble(_read_all(paths, is_cancelled), alignment, is_cancelled)


def study_from_images(
    flair: sitk.Image,
    t1: sitk.Image | None = None,
    t1c: sitk.Image | None = None,
    alignment: Alignment = by_evidence,
) -> Study:
    """A study of images in memory, with the same checks and warnings as one that is read.

    Images of any real scalar type, 3D or 4D (first frame). The study's sources are empty.
    """
    images = {Role.FLAIR: flair, Role.T1: t1, Role.T1C: t1c}
    sequences = (_accepted(role, image, None, ()) for role, image in images.items() if image is not None)
    return _assemble(sequences, alignment, never)


def _read_all(paths: StudyPaths, is_cancelled: IsCancelled) -> Iterator[_Sequence]:
    """The sequences one after another, so that each can go again when it is on FLAIR's grid."""
    given = {Role.FLAIR: paths.flair, Role.T1: paths.t1, Role.T1C: paths.t1c}
    for role, path in given.items():
        if is_cancelled():
            raise Cancelled
        if path is not None:
            with _quiet_itk():
                sequence = _read_sequence(role, Path(path))
            yield sequence


def _assemble(sequences: Iterator[_Sequence], alignment: Alignment, is_cancelled: IsCancelled) -> Study:
    """FLAIR first, then the others brought to its grid."""
    flair = next(sequences)
    geometry = Geometry.of_image(flair.image)
    warnings = [*flair.warnings, *thick_slice_warnings(flair.role.label, geometry)]
    remedies: dict[Remedy, None] = {}  # an ordered set
    motions: dict[str, Motion] = {}
    arrays, sources = {flair.role: voxels_of(flair.image)}, {flair.role: flair.source}
    for other in sequences:
        aligned = onto_flair(flair.image, other.role, other.image, alignment, is_cancelled)
        arrays[other.role], sources[other.role] = voxels_of(aligned.image), other.source
        warnings += [*other.warnings, *aligned.warnings]
        remedies |= dict.fromkeys(aligned.remedies)
        if aligned.motion is not None:
            motions[other.role.value] = aligned.motion
    if alignment is by_registration and len(arrays) == 1:
        warnings.append("There was nothing to register to FLAIR: no T1 and no T1 with contrast was given.")
    return Study(
        arrays[Role.FLAIR],
        geometry,
        arrays.get(Role.T1),
        arrays.get(Role.T1C),
        sources={role.value: source for role, source in sources.items() if source is not None},
        motions=motions,
        warnings=tuple(warnings),
        remedies=tuple(remedies),
    )


def _read_sequence(role: Role, path: Path) -> _Sequence:
    """Reads whatever the path is. Raises InputError that names the path and what to do."""
    check_input(role.label, path)
    try:
        if path.name.lower().endswith(IMAGE_ENDINGS) and not path.is_dir():
            return _read_file(role, path)
        sequence = _read_dicom(role, path)
        if sequence is not None:
            return sequence
    except (RuntimeError, OSError) as error:
        raise _unreadable(role, path, error) from error
    raise InputError(
        f"{role.label}: {path} has a format that is not supported.",
        f"Use a DICOM folder or a file that ends in {', '.join(IMAGE_ENDINGS)}.",
    )


def _unreadable(role: Role, path: Path, error: Exception) -> InputError:
    """What could not be read, in our words; the library's own are in the chained exception."""
    if isinstance(error, OSError) and error.errno:
        return unreadable(role.label, Path(error.filename or path), error)
    return InputError(
        f"{role.label}: {path} can't be read. It is damaged, incomplete, or not what its name says.",
        "Copy or export it again.",
    )


def _read_dicom(role: Role, path: Path) -> _Sequence | None:
    """The series of a folder or of a file, None for a file that is no DICOM."""
    # Imported here: pydicom takes a good part of a second, which other formats need not wait for.
    from BrainTumorSegLib.engine.study import dicom
    from BrainTumorSegLib.engine.study.frames import is_dicom_file

    if path.is_dir():
        volume = dicom.choose_volume(path, role)
    elif is_dicom_file(path):
        volume = dicom.volume_of_file(path, role)
    else:
        return None
    image, warnings = dicom.read_volume(volume, role)
    return _accepted(role, image, Source(path, volume.uid), warnings)


def _read_file(role: Role, path: Path) -> _Sequence:
    """Reads the first frame of a volume file after its header was found acceptable."""
    if path.name.lower().endswith(NIFTI_ENDINGS):
        found = read_nifti(role.label, path)
        warnings = _frame_warnings(role, found.frames) + found.warnings
        return _accepted(role, found.image, Source(path), warnings)
    header = read_text_header(role.label, path)
    warnings = check_text_header(role.label, path, header)
    check_compressed(role.label, path, header)
    reader = sitk.ImageFileReader()
    reader.SetFileName(utf8_text(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    check_size(role.label, size)
    check_pixels(role.label, reader.GetNumberOfComponents(), reader.GetPixelID())
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
    warnings = _frame_warnings(role, int(np.prod(size[3:]))) + warnings
    return _accepted(role, reader.Execute(), Source(path), warnings)


def _accepted(role: Role, image: sitk.Image, source: Source | None, warnings: tuple[str, ...]) -> _Sequence:
    """The image as a finite float32 volume, checked. Raises InputError, GeometryError."""
    size = image.GetSize()
    check_size(role.label, size)
    check_pixels(role.label, image.GetNumberOfComponentsPerPixel(), image.GetPixelID())
    if len(size) > 3:
        warnings += _frame_warnings(role, int(np.prod(size[3:])))
        image = sitk.Extract(image, [*size[:3], *(0 for _ in size[3:])], [0] * len(size))
    check_grid(role.label, Geometry.of_image(image))
    if image.GetPixelID() != sitk.sitkFloat32:
        image = sitk.Cast(image, sitk.sitkFloat32)  # a double beyond float32 becomes infinite and is replaced below
    view = sitk.GetArrayViewFromImage(image)
    array, notes = finite_voxels(role.label, view)
    array, padding = without_padding(role.label, array)
    if array is not view:
        repaired = sitk.GetImageFromArray(array)
        repaired.CopyInformation(image)
        image = repaired
    odd = continuity_warnings(role.label, sitk.GetArrayViewFromImage(image), image.GetSpacing())
    return _Sequence(role, image, source, warnings + notes + padding + odd)


def _frame_warnings(role: Role, frames: int) -> tuple[str, ...]:
    if frames == 1:
        return ()
    return (f"{role.label} has {frames} volumes (echoes or time points); the first one is used.",)


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """Keeps ITK's own warnings, which name paths, off stderr; what matters in them is checked here."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
