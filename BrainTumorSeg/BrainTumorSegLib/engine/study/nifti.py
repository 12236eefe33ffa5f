"""NIfTI-1 files, read by their header: nifti1.h, https://nifti.nimh.nih.gov.

ITK 5.4 refuses rotations that are rounded to four digits, takes the size of voxels from pixdim although another is in
the sform, reads cut-off data as zeros and sizes of zero as 1 mm, and prints what it thinks of a header.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.acceptance import check_grey, check_grid, check_size, complex_voxels
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 22
_HEADER_BYTES, _NIFTI_2_HEADER_BYTES = 348, 540
# name: (format, byte in the header)
_FIELDS = {
    "sizeof_hdr": ("i4", 0),
    "dim": ("8i2", 40),
    "datatype": ("i2", 70),
    "pixdim": ("8f4", 76),
    "vox_offset": ("f4", 108),
    "scl_slope": ("f4", 112),
    "scl_inter": ("f4", 116),
    "xyzt_units": ("u1", 123),
    "qform_code": ("i2", 252),
    "sform_code": ("i2", 254),
    "quatern": ("3f4", 256),
    "qoffset": ("3f4", 268),
    "srow": ("(3,4)f4", 280),
}
_HEADER = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": [kind for kind, _ in _FIELDS.values()],
        "offsets": [offset for _, offset in _FIELDS.values()],
        "itemsize": _HEADER_BYTES,
    }
)
_KINDS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COMPLEX, _COLOURS = (32, 1792, 2048), {128: 3, 2304: 4}
_MM = {1: 1000.0, 3: 0.001}  # metres, micrometres
_SCANNER = 1
_FIRST_DATA_BYTE = 352
# Numbers of a header that should agree may differ by this part, through rounding.
_ROUNDING = 0.01


@dataclass(frozen=True)
class NiftiVolume:
    """The first volume of a file: a float32 image in LPS, how many volumes there are, and warnings."""

    image: sitk.Image
    frames: int
    warnings: tuple[str, ...]


def read_nifti(title: str, path: Path) -> NiftiVolume:
    """The first volume of a NIfTI-1 file (.nii, gzip-compressed or not).

    title: how messages call the sequence. Reads compressed data once through, so that their checksum is looked at.
    Raises InputError for a file that is cut off, damaged, no NIfTI-1 or of voxels that are no grey values,
    GeometryError for sizes and orientations that are missing or contradict each other, OSError where it can't be
    opened.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    try:
        with gzip.open(path) if compressed else path.open("rb") as stream:
            header = _header(title, path, stream.read(_HEADER_BYTES))
            size, frames = _size(title, path, header)
            kind = _kind(title, header)
            geometry, warnings = _geometry(title, path, header, size)
            values = _values(title, path, cast(BinaryIO, stream), header, kind, size)
            _check_rest(title, path, cast(BinaryIO, stream), size, frames, kind.itemsize)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(title, path, "its compressed data end early or are corrupt") from error
    return NiftiVolume(Volume(values, geometry).to_image(), frames, warnings)


def _header(title: str, path: Path, raw: bytes) -> Any:
    orders: dict[int, Literal["<", ">"]] = {
        int.from_bytes(raw[:4], "little"): "<",
        int.from_bytes(raw[:4], "big"): ">",
    }
    if _NIFTI_2_HEADER_BYTES in orders:
        raise InputError(f"{title}: {path} is in NIfTI-2 format.", "Save it as NIfTI-1 or NRRD.")
    if _HEADER_BYTES not in orders or len(raw) < _HEADER_BYTES or raw[344:347] != b"n+1":
        raise _damaged(title, path, "it does not begin with a NIfTI header")
    return np.frombuffer(raw, _HEADER.newbyteorder(orders[_HEADER_BYTES]))[0]


def _size(title: str, path: Path, header: Any) -> tuple[tuple[int, int, int], int]:
    """Voxels along i, j, k, and how many such volumes there are."""
    count, offset = int(header["dim"][0]), float(header["vox_offset"])
    if not (1 <= count <= 7 and math.isfinite(offset) and _FIRST_DATA_BYTE <= offset < 1e9):
        raise _damaged(title, path, f"its header tells of {count} dimensions and data at byte {offset:g}")
    size = tuple(int(n) if axis < 3 else max(1, int(n)) for axis, n in enumerate(header["dim"][1 : count + 1]))
    if min(size) < 1:
        raise _damaged(title, path, f"its header tells of {' x '.join(map(str, size))} voxels")
    check_size(title, size)
    return (size[0], size[1], size[2]), math.prod(size[3:])


def _kind(title: str, header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COMPLEX:
        raise complex_voxels(title)
    check_grey(title, _COLOURS.get(code, 1))
    if code not in _KINDS:
        raise InputError(
            f"{title} has voxels of a type that is not supported (NIfTI code {code}).",
            "Save it with 16-bit integers or 32-bit floating point numbers.",
        )
    return np.dtype(_KINDS[code]).newbyteorder(header["dim"].dtype.byteorder)


def _values(
    title: str, path: Path, stream: BinaryIO, header: Any, kind: np.dtype[Any], size: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """float32 [K, J, I]: stored value x scl_slope + scl_inter, where the slope is not 0."""
    _skip(stream, int(header["vox_offset"]) - _HEADER_BYTES)
    wanted = math.prod(size) * kind.itemsize
    data = stream.read(wanted)
    if len(data) < wanted:
        raise _damaged(title, path, f"it has {len(data)} of {wanted} bytes of data")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, which the study's reader tells
        values = np.frombuffer(data, kind).reshape(size[::-1]).astype(np.float32)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope != 0 and math.isfinite(slope) and math.isfinite(intercept) and (slope, intercept) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            values *= np.float32(slope)
            values += np.float32(intercept)
    return values


def _check_rest(
    title: str, path: Path, stream: BinaryIO, size: tuple[int, int, int], frames: int, voxel_bytes: int
) -> None:
    """Reads to the end, where a compressed stream's checksum is. Refuses one that lacks further volumes, and one that
    holds a slice more than its header tells of: the header's sizes or its type of voxels are wrong then.
    """
    wanted = math.prod(size) * (frames - 1) * voxel_bytes
    found = 0
    while chunk := stream.read(_CHUNK_BYTES):
        found += len(chunk)
    if found < wanted:
        raise _damaged(title, path, f"it has {found} of {wanted} bytes of data behind the first volume")
    if found - wanted >= size[0] * size[1] * voxel_bytes:
        raise _damaged(title, path, f"it has {found - wanted} bytes more than its header tells of")


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0 and (chunk := stream.read(min(count, _CHUNK_BYTES))):
        count -= len(chunk)


def _geometry(title: str, path: Path, header: Any, size: tuple[int, int, int]) -> tuple[Geometry, tuple[str, ...]]:
    """The grid that the header describes, and a warning where it does not say how it lies in the patient.

    The qform counts unless there is none, or the sform too is the scanner's: as ITK, and so 3D Slicer, chooses.
    """
    scale = _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    sizes = np.array(header["pixdim"][1:4], np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise GeometryError(
            f"{title} has a voxel spacing of {' x '.join(f'{mm:g}' for mm in sizes)} mm in {path}.",
            "Correct the spacing in the file's header, or convert the original DICOM series again.",
        )
    qform_code, sform_code = int(header["qform_code"]), int(header["sform_code"])
    if qform_code <= 0 and sform_code <= 0:
        rotation, offset = np.diag([-1.0, -1.0, 1.0]), np.zeros(3)
        warning = (
            f"{title}'s header does not say how the image lies in the patient. It is taken as axial slices, the "
            "patient's right in the first column, from the feet up: check that it looks so."
        )
        geometry = _grid(size, rotation * sizes * scale, offset)
        check_grid(title, geometry)
        return geometry, (warning,)
    qform = _qform(header, sizes)
    sform = np.array(header["srow"], np.float64)
    _check_numbers(title, path, qform if qform_code > 0 else sform, sform if sform_code > 0 else qform)
    if qform_code > 0 and sform_code > 0:
        _check_handed(title, path, qform, sform)
    if qform_code > 0 and qform_code == sform_code:
        _check_agree(title, path, qform, sform, size)
    chosen = sform if qform_code <= 0 or sform_code == _SCANNER else qform
    geometry = _grid(size, chosen[:, :3] * scale, chosen[:, 3] * scale)
    check_grid(title, geometry)
    _check_spacing(title, path, np.linalg.norm(chosen[:, :3], axis=0), sizes)
    return geometry, ()


def _grid(size: tuple[int, int, int], axes_ras: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]) -> Geometry:
    """axes_ras: [world, voxel axis], mm. NIfTI's world is RAS, ours LPS."""
    to_lps = np.array([-1.0, -1.0, 1.0])
    spacing = np.linalg.norm(axes_ras, axis=0)
    direction = to_lps[:, None] * axes_ras / spacing
    origin = to_lps * offset
    return Geometry(
        size,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(cosine) for cosine in direction.ravel()),
    )


def _qform(header: Any, sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """3 x 4 matrix of nifti1.h's method 2: rotation by the quaternion (a, b, c, d), third axis by pixdim[0]."""
    b, c, d = (float(value) for value in header["quatern"])
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handed = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    return np.column_stack([rotation * sizes * [1.0, 1.0, handed], np.array(header["qoffset"], np.float64)])


def _check_numbers(title: str, path: Path, *matrices: npt.NDArray[np.float64]) -> None:
    if not all(np.isfinite(matrix).all() and np.linalg.norm(matrix[:, :3], axis=0).all() for matrix in matrices):
        raise GeometryError(
            f"{title}: the place of the image in {path} holds values that are no numbers, or axes without a direction.",
            "Correct the header (sform and qform), or convert the original DICOM series again.",
        )


def _check_agree(
    title: str, path: Path, qform: npt.NDArray[np.float64], sform: npt.NDArray[np.float64], size: tuple[int, int, int]
) -> None:
    """Both matrices say that they lead to the same space: no corner may lie a voxel apart."""
    corners = np.array([[i, j, k, 1] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])], np.float64)
    apart = float(np.linalg.norm(corners @ (qform - sform).T, axis=1).max())
    if apart > float(np.linalg.norm(qform[:, :3], axis=0).max()):
        raise GeometryError(
            f"{title}: sform and qform in {path} place the same voxel up to {apart:.1f} mm apart.",
            "Correct the header, or convert the original DICOM series again.",
        )


def _check_handed(title: str, path: Path, qform: npt.NDArray[np.float64], sform: npt.NDArray[np.float64]) -> None:
    """Whatever two spaces the matrices lead to, neither may show the patient in a mirror."""
    if np.linalg.det(qform[:, :3]) * np.linalg.det(sform[:, :3]) < 0:
        raise GeometryError(
            f"{title}: by the sform in {path} the image is the mirror image of what it is by the qform, so left and "
            "right are unknown.",
            "Correct the header, or convert the original DICOM series again.",
        )


def _check_spacing(
    title: str, path: Path, by_matrix: npt.NDArray[np.float64], by_pixdim: npt.NDArray[np.float64]
) -> None:
    if not np.allclose(by_matrix, by_pixdim, rtol=_ROUNDING, atol=0):
        one, other = (" x ".join(f"{mm:.4g}" for mm in sizes) for sizes in (by_pixdim, by_matrix))
        raise GeometryError(
            f"{title}: the header of {path} contradicts itself: voxels of {one} mm by pixdim, but of {other} mm by the "
            "sform.",
            "Correct the header, or convert the original DICOM series again.",
        )


def _damaged(title: str, path: Path, why: str) -> InputError:
    return InputError(f"{title}: {path} can't be read: {why}.", "Copy or export it again.")
