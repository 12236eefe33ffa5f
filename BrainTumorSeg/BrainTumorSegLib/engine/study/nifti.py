"""What ITK lets pass in NIfTI files: cut-off data (read as zeros) and voxels without a size (read as 1 mm).

Field offsets: nifti1.h, https://nifti.nimh.nih.gov. Seen with ITK 5.4, which does not read NIfTI-2 either.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from BrainTumorSegLib.engine.errors import GeometryError, InputError

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 22
_HEADER_BYTES = 348
_NIFTI_2_HEADER_BYTES = 540


def check_nifti(title: str, path: Path) -> None:
    """Refuses a NIfTI file whose voxels have no size or whose data end early.

    title: how the message calls the sequence. Raises GeometryError for a spacing of zero, InputError for a file that
    is cut off, damaged, or no NIfTI. Reads compressed data once through; some 0.05 s for a clinical series.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    try:
        with gzip.open(path) if compressed else path.open("rb") as stream:
            header = stream.read(_HEADER_BYTES)
            expected = _check_header(title, path, header)
            found = len(header) + _bytes_left(stream) if compressed else path.stat().st_size
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(title, path, "its compressed data end early or are corrupt") from error
    if found < expected:
        raise _damaged(title, path, f"it has {found} of {expected} bytes")


def _check_header(title: str, path: Path, header: bytes) -> int:
    """The number of bytes that the header announces. Raises as ``check_nifti``."""
    lengths = {order: struct.unpack_from(f"{order}i", header.ljust(4, b"\0"))[0] for order in "<>"}
    if _NIFTI_2_HEADER_BYTES in lengths.values():
        raise InputError(f"{title}: {path} is in NIfTI-2 format.", "Save it as NIfTI-1 or NRRD.")
    order = next((order for order, length in lengths.items() if length == _HEADER_BYTES), None)
    if order is None or len(header) < _HEADER_BYTES:
        raise _damaged(title, path, "it does not begin with a NIfTI header")
    dim, pixdim = struct.unpack_from(f"{order}8h", header, 40), struct.unpack_from(f"{order}8f", header, 76)
    (bits,), (offset,) = struct.unpack_from(f"{order}h", header, 72), struct.unpack_from(f"{order}f", header, 108)
    if not (1 <= dim[0] <= 7 and math.isfinite(offset)):
        raise _damaged(title, path, f"its header tells of {dim[0]} dimensions and data at byte {offset}")
    spacings = pixdim[1 : min(3, dim[0]) + 1]
    if not all(math.isfinite(spacing) and spacing != 0 for spacing in spacings):
        raise GeometryError(
            f"{title} has a voxel spacing of {' x '.join(f'{spacing:g}' for spacing in spacings)} mm in {path}.",
            "Correct the spacing in the file's header, or convert the original DICOM series again.",
        )
    voxels = math.prod(max(1, n) for n in dim[1 : dim[0] + 1])
    return int(offset) + voxels * int(bits) // 8


def _bytes_left(stream: BinaryIO | gzip.GzipFile) -> int:
    total = 0
    while chunk := stream.read(_CHUNK_BYTES):
        total += len(chunk)
    return total


def _damaged(title: str, path: Path, why: str) -> InputError:
    return InputError(f"{title}: {path} can't be read: {why}.", "Copy or export it again.")
