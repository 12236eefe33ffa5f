"""DICOM files as frames: where each image of a file lies, how its values are scaled, and what its header says it is.

A classic file holds one frame, an enhanced multi-frame file many; behind this file they are alike. pydicom reads the
headers, because ITK tells the position, scale and echo of a multi-frame file's first frame alone; nothing here loads
pixel data, whatever a header announces.
"""

from __future__ import annotations

import itertools
import logging
import mmap
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from BrainTumorSegLib.engine.study import sequences

logger = logging.getLogger(__name__)
logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its remarks on spelling quote values: UIDs, dates

# What a file can raise in pydicom that is not the DICOM that it says it is.
DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError, ArithmeticError, EOFError),
    *(RecursionError, MemoryError, OSError, struct.error, BytesLengthException, InvalidDicomError),
)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_PIXEL_DATA_LITTLE, _PIXEL_DATA_BIG = b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"
_MOST_FRAMES = 100_000
# First elements of a data set that was written without DICOM's preamble.
_FIRST_ELEMENTS = {b"\x08\x00" + bytes((element, 0)) for element in (0x00, 0x01, 0x05, 0x08, 0x16, 0x18)}


@dataclass(frozen=True)
class PixelLayout:
    """How one file stores its pixels.

    offset: of the pixel data's value in the file. length: its bytes; None where it is encapsulated (compressed).
    colour: values per pixel.
    """

    columns: int
    rows: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    little_endian: bool
    colour: int
    inverted: bool
    syntax: str
    offset: int
    length: int | None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.columns * self.rows * self.colour * (self.bits_allocated // 8)


@dataclass(frozen=True)
class Frame:
    """One image of a DICOM file.

    index: its number in the file, from 0. position_lps: centre of its first pixel, mm. row_lps, column_lps: directions
    along a row and down a column. pixel_mm: distances of columns and of rows. slope, intercept: from stored values to
    the scanner's. Any of the geometry is None where the header lacks it. tags: hints at the sequence, keyed as
    ``sequences`` names them. marks: by name in the user's words, what can tell several images of one place apart.
    series: what the standard keeps the same within a series, the study's UID and the patient's id first.
    """

    path: Path
    index: int
    layout: PixelLayout
    position_lps: tuple[float, ...] | None
    row_lps: tuple[float, ...] | None
    column_lps: tuple[float, ...] | None
    pixel_mm: tuple[float, ...] | None
    slope: float
    intercept: float
    uid: str
    instance: str
    modality: str
    tags: Mapping[str, str]
    marks: Mapping[str, str]
    series: tuple[str, ...]


class DamagedFileError(Exception):
    """A DICOM file from which no frame can be read. uid: its series, "" where even that can't be told."""

    def __init__(self, uid: str) -> None:
        super().__init__(uid)
        self.uid = uid


# Attribute: the tag's name among the hints, the keyword in a classic file, and in a frame's functional groups.
_HINTS = {
    sequences.IMAGE_TYPE: ("ImageType", "MRImageFrameTypeSequence", "FrameType"),
    sequences.SERIES_DESCRIPTION: ("SeriesDescription", "", ""),
    sequences.CONTRAST_AGENT: ("ContrastBolusAgent", "", ""),
    sequences.SCANNING_SEQUENCE: ("ScanningSequence", "", ""),
    sequences.SEQUENCE_NAME: ("SequenceName", "", ""),
    sequences.REPETITION_TIME: ("RepetitionTime", "MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    sequences.ECHO_TIME: ("EchoTime", "MREchoSequence", "EffectiveEchoTime"),
    sequences.INVERSION_TIME: ("InversionTime", "MRModifierSequence", "InversionTimes"),
    sequences.PROTOCOL_NAME: ("ProtocolName", "", ""),
}
# What tells several images of one place apart, the most telling first.
_MARKS = {
    "image type": _HINTS[sequences.IMAGE_TYPE],
    "b-value": ("DiffusionBValue", "MRDiffusionSequence", "DiffusionBValue"),
    "echo time (ms)": _HINTS[sequences.ECHO_TIME],
    "echo number": ("EchoNumbers", "", ""),
    "inversion time (ms)": _HINTS[sequences.INVERSION_TIME],
    "repetition time (ms)": _HINTS[sequences.REPETITION_TIME],
    "sequence name": ("SequenceName", "", ""),
    "time point": ("TemporalPositionIdentifier", "FrameContentSequence", "TemporalPositionIndex"),
    "acquisition": ("AcquisitionNumber", "FrameContentSequence", "FrameAcquisitionNumber"),
    "stack": ("StackID", "FrameContentSequence", "StackID"),
    "trigger time (ms)": ("TriggerTime", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
}
_SERIES = ("StudyInstanceUID", "PatientID", "SeriesNumber", "SeriesDescription", "ProtocolName")
_LAYOUT = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_WANTED = [
    pydicom.tag.Tag(keyword)
    for keyword in {
        *(keyword for keyword, _, _ in (*_HINTS.values(), *_MARKS.values())),
        *(*_SERIES, *_LAYOUT, *_GROUPS, "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality"),
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"),
        *("PulseSequenceName", "EchoPulseSequence", "ContrastBolusAgentSequence"),
    }
]


def is_dicom_file(path: Path) -> bool:
    """Whether a file begins as DICOM does, with its preamble or, as of old, without."""
    with path.open("rb") as file:
        begin = file.read(132)
    return begin[128:] == b"DICM" or begin[:4] in _FIRST_ELEMENTS


def read_frames(path: Path) -> tuple[Frame, ...]:
    """The frames of a DICOM file; none of one that holds no image (reports, presentation states).

    Raises DamagedFileError where the file is cut short or no DICOM, OSError where it can't be opened.
    """
    uid = ""
    with path.open("rb") as file:
        try:
            # A map costs no memory for a length that the file can't hold, and raises ValueError beyond its end.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom's remarks about spelling; what matters is checked here
                header = _header(mapped)
                uid = _text(header, "SeriesInstanceUID")
                layout = _layout(header, mapped)
                return tuple(_frames(path, header, layout)) if layout else ()
        except DAMAGE as error:
            logger.info("A DICOM file could not be read: %s", type(error).__name__)
            raise DamagedFileError(uid) from error


def _header(file: mmap.mmap) -> Dataset:
    """The header; leaves the file at the pixel data, if it holds any."""
    if file.find(_DEFLATED, 0, 1024) >= 0:
        raise NotImplementedError("A deflated data set can grow a thousandfold in memory.")
    return pydicom.dcmread(cast(BinaryIO, file), stop_before_pixels=True, force=True, specific_tags=_WANTED)


def _layout(header: Dataset, file: mmap.mmap) -> PixelLayout | None:
    """How the file stores its pixels, None where it holds none. Raises one of DAMAGE where they are not all there."""
    found = _pixel_data(file)
    if found is None:
        storage = pydicom.uid.UID(_text(header, "SOPClassUID"))
        if not storage or "Image Storage" in storage.name:
            raise EOFError("The file ends before its pixel data.")
        return None
    offset, length = found
    syntax = str(getattr(header.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian))
    if length is not None and (syntax not in _NATIVE or offset + length > len(file)):
        raise EOFError("The pixel data end early, or are stored in an unknown way.")
    if length is None:
        _check_fragments(file, offset)
    stored = int(header.get("BitsStored") or header.BitsAllocated)
    layout = PixelLayout(
        columns=int(header.Columns),
        rows=int(header.Rows),
        frames=int(header.get("NumberOfFrames") or 1),
        bits_allocated=int(header.BitsAllocated),
        bits_stored=stored,
        high_bit=int(header.get("HighBit") or stored - 1),
        signed=bool(int(header.get("PixelRepresentation") or 0)),
        little_endian=syntax != ExplicitVRBigEndian,
        colour=int(header.get("SamplesPerPixel") or 1),
        inverted=_text(header, "PhotometricInterpretation") == "MONOCHROME1",
        syntax=syntax,
        offset=offset,
        length=length,
    )
    _check_layout(layout)
    return layout


def _pixel_data(file: mmap.mmap) -> tuple[int, int | None] | None:
    """Where the value of the pixel data begins, at whose element pydicom stopped, and its bytes (None: encapsulated).

    None where the file holds none. Lengths are even, so that no length looks like the two letters of a type.
    """
    begin = file.tell()
    element = file.read(12).ljust(12, b"\0")
    little = element[:4] == _PIXEL_DATA_LITTLE
    if not (little or element[:4] == _PIXEL_DATA_BIG):
        return None
    explicit = element[4:6] in (b"OB", b"OW", b"UN")
    (length,) = struct.unpack("<L" if little else ">L", element[8:12] if explicit else element[4:8])
    return begin + (12 if explicit else 8), None if length == _UNDEFINED_LENGTH else length


def _check_fragments(file: mmap.mmap, offset: int) -> None:
    """Raises EOFError unless the items of encapsulated pixel data, of which each says its length, end in the file."""
    while True:
        tag, length = file[offset : offset + 4], file[offset + 4 : offset + 8]
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM or len(length) < 4:
            raise EOFError("The compressed pixel data end early.")
        offset += 8 + int.from_bytes(length, "little")


def _check_layout(layout: PixelLayout) -> None:
    if not (0 < layout.frames <= _MOST_FRAMES and layout.rows > 0 and layout.columns > 0):
        raise ValueError("Nonsense for a size.")
    if layout.bits_allocated not in (8, 16, 32) or not 0 < layout.bits_stored <= layout.high_bit + 1 <= 32:
        raise NotImplementedError(f"{layout.bits_allocated} bits for a pixel")
    if layout.high_bit >= layout.bits_allocated:
        raise ValueError("More bits stored than allocated.")
    if layout.length is not None and layout.length < layout.frames * layout.frame_bytes:
        raise EOFError("The pixel data end early.")


def _frames(path: Path, header: Dataset, layout: PixelLayout) -> Iterator[Frame]:
    shared = next(iter(header.get("SharedFunctionalGroupsSequence") or [None]), None)
    each = header.get("PerFrameFunctionalGroupsSequence")
    if each is not None and len(each) != layout.frames:
        raise ValueError("The header tells of another number of frames than it describes.")
    series = tuple(_text(header, keyword) for keyword in _SERIES)
    instance = _text(header, "SOPInstanceUID")
    of_file = _tags_of_multi_frame_file(header)
    for index, group in enumerate(each or itertools.repeat(None, layout.frames)):
        find = _finder((group, shared), header)
        tags = {tag: text for tag, where in _HINTS.items() if (text := _join(find(*where)))}
        orientation = _numbers(find("ImageOrientationPatient", "PlaneOrientationSequence"), 6)
        spacing = _numbers(find("PixelSpacing", "PixelMeasuresSequence"), 2)
        position = _numbers(find("ImagePositionPatient", "PlanePositionSequence"), 3)
        slope = _numbers(find("RescaleSlope", "PixelValueTransformationSequence"), 1)
        intercept = _numbers(find("RescaleIntercept", "PixelValueTransformationSequence"), 1)
        yield Frame(
            path,
            index,
            layout,
            position_lps=position,
            row_lps=orientation and orientation[:3],
            column_lps=orientation and orientation[3:],
            pixel_mm=spacing and spacing[::-1],
            slope=slope[0] if slope else 1.0,
            intercept=intercept[0] if intercept else 0.0,
            uid=_text(header, "SeriesInstanceUID"),
            instance=instance,
            modality=_text(header, "Modality"),
            tags=of_file | tags,
            marks={name: text for name, where in _MARKS.items() if (text := _join(find(*where)))},
            series=series,
        )


def _finder(groups: tuple[Dataset | None, ...], header: Dataset) -> Callable[..., Any]:
    """Looks an attribute up in the frame's own functional groups, the shared ones, then the file's header."""

    def find(keyword: str, sequence: str = "", in_sequence: str = "") -> Any:
        for group in groups:
            item = group.get(sequence) if group is not None and sequence else None
            if item and (value := item[0].get(in_sequence or keyword)) is not None:
                return value
        return header.get(keyword)

    return find


def _tags_of_multi_frame_file(header: Dataset) -> dict[str, str]:
    """Hints that an enhanced file spells in its own way, once for all frames."""
    pulse = {"SPIN": "SE", "GRADIENT": "GR", "BOTH": "SE\\GR"}.get(_text(header, "EchoPulseSequence"), "")
    agents = [_text(agent, "CodeMeaning") or "given" for agent in header.get("ContrastBolusAgentSequence") or ()]
    found = {
        sequences.SCANNING_SEQUENCE: pulse,
        sequences.SEQUENCE_NAME: _text(header, "PulseSequenceName"),
        sequences.CONTRAST_AGENT: " ".join(agents),
    }
    return {tag: text for tag, text in found.items() if text}


def _text(dataset: Dataset, keyword: str) -> str:
    return _join(dataset.get(keyword))


def _join(value: Any) -> str:
    """A value of any multiplicity as DICOM writes it."""
    if value is None:
        return ""
    several = isinstance(value, pydicom.multival.MultiValue | list | tuple)
    return "\\".join(str(one).strip().strip("\0") for one in (value if several else [value]))


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """That many numbers, None where the attribute is absent or empty. Raises ValueError for any other count."""
    text = _join(value)
    if not text:
        return None
    numbers = tuple(float(one) for one in text.split("\\"))
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers instead of {count}")
    return numbers
