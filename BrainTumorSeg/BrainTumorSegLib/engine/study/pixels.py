"""The pixels of DICOM frames as the scanner meant them: stored values, each frame by its own slope and intercept."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_fragments
from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.acceptance import check_grey
from BrainTumorSegLib.engine.study.frames import Frame, PixelLayout

_J2K_BEGIN = b"\xff\x4f\xff\x51"
_JPEG_BEGIN = b"\xff\xd8"
# Markers of JPEG and JPEG-LS that give the size of the image: SOF0 to SOF15 without DHT, JPG and DAC; SOF55.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_COPIED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
)


def check_layout(title: str, layout: PixelLayout) -> None:
    """Raises InputError for pixels that are no grey values as they are.

    title: how the message calls the sequence.
    """
    check_grey(title, layout.colour)
    if layout.inverted:
        raise InputError(
            f"{title} stores its grey values inverted (MONOCHROME1).",
            "Choose the original MR series, not a digitised film.",
        )


def read_pixels(title: str, frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
    """float32 [K, rows, columns], frame by frame in the order given: stored value x slope + intercept.

    title: how messages call the sequence. Compressed files are decoded one at a time. Raises InputError where a file
    can't be decoded, OSError where it can't be opened.
    """
    first = frames[0].layout
    volume = np.empty((len(frames), first.rows, first.columns), dtype=np.float32)
    decoded: tuple[Path, npt.NDArray[Any]] | None = None
    for k, frame in sorted(enumerate(frames), key=lambda item: (str(item[1].path), item[1].index)):
        if frame.layout.length is not None:
            stored = _stored(frame)
        else:
            if decoded is None or decoded[0] != frame.path:
                decoded = (frame.path, _decoded(title, frame))
            stored = decoded[1][frame.index]
        volume[k] = stored * frame.slope + frame.intercept
    return volume


def _stored(frame: Frame) -> npt.NDArray[Any]:
    """The values of an uncompressed frame [rows, columns], free of what else lies in bits beside them."""
    layout = frame.layout
    kind = np.dtype(
        f"{'<' if layout.little_endian else '>'}{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}"
    )
    count = layout.rows * layout.columns
    values = np.fromfile(frame.path, kind, count, offset=layout.offset + frame.index * layout.frame_bytes)
    above = layout.bits_allocated - 1 - layout.high_bit
    below = layout.bits_allocated - layout.bits_stored
    return ((values << above) >> below).reshape(layout.rows, layout.columns)


def _decoded(title: str, frame: Frame) -> npt.NDArray[Any]:
    """The stored values [frames, rows, columns] of a compressed file.

    ITK's GDCM knows every transfer syntax, but scales all frames by the first one's slope: it is given a copy of the
    pixel data alone, without any.
    """
    layout = frame.layout
    source = pydicom.dcmread(frame.path, force=True, specific_tags=list(_COPIED))
    copy = Dataset()
    for keyword in _COPIED:
        if keyword in source:
            copy[keyword] = source[keyword]
    _check_codestreams(title, frame, copy.get("PixelData", b""))
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = pydicom.uid.UID(layout.syntax)
    copy.SOPClassUID = copy.file_meta.MediaStorageSOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pixels.dcm")
            copy.save_as(path, enforce_file_format=True)
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
        return array.reshape(layout.frames, layout.rows, layout.columns)
    except (RuntimeError, ValueError) as error:
        raise _undecodable(title, frame) from error


def _undecodable(title: str, frame: Frame) -> InputError:
    return InputError(
        f"{title}: the compressed pixels of {frame.path} can't be read: they are damaged, or their compression is not "
        "supported.",
        "Export the series without compression.",
    )


def _check_codestreams(title: str, frame: Frame, encapsulated: bytes) -> None:
    """Refuses JPEG images of another size than the header's: a decoder takes memory for whatever they announce."""
    try:
        for fragment in generate_fragments(encapsulated):
            size = _announced_size(fragment)
            if size is not None and size != (frame.layout.rows, frame.layout.columns):
                raise _undecodable(title, frame)
    except (ValueError, struct.error) as error:
        raise _undecodable(title, frame) from error


def _announced_size(codestream: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 image announces, None for what is none of them.

    Formats: ITU-T T.81 annex B, T.87 annex C, T.800 annex A.
    """
    if codestream.startswith(_J2K_BEGIN):
        right, bottom, left, top = struct.unpack_from(">4I", codestream, 8)
        return bottom - top, right - left
    if not codestream.startswith(_JPEG_BEGIN):
        return None
    at = 2
    while True:
        marker, length = struct.unpack_from(">xBH", codestream, at)
        if marker in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">2H", codestream, at + 5)
            return rows, columns
        at += 2 + length
