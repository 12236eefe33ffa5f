"""Headers of NRRD and MetaImage files, held against what they must say before ITK sees them.

ITK 5.4 crashes on a MetaImage of -1 dimensions, takes 1 mm where a size is missing, and calls every type of voxel that
it does not know a failure. Formats: https://teem.sourceforge.net/nrrd/format.html and MetaIO's documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.acceptance import check_size
from BrainTumorSegLib.engine.study.endings import META_ENDINGS, NRRD_ENDINGS

_LONGEST_HEADER_LINES = 1000
_LONGEST_LINE = 1 << 16
_MOST_DIMENSIONS = 5
_LONGEST_AXIS = 1 << 31
_INTEGER_NAMES = "char short int longlong int8 int16 int32 int64 int8_t int16_t int32_t int64_t"
_NRRD_TYPES = {
    *(f"{sign}{name}" for sign in ("", "u") for name in _INTEGER_NAMES.split()),
    *(f"{sign}{name}" for sign in ("signed ", "unsigned ") for name in ("char", "short", "int", "long long")),
    *(f"{sign}{name} int" for sign in ("", "signed ", "unsigned ") for name in ("short", "long long")),
    *("long long", "float", "double"),
}
_META_BYTES = {
    **{"MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4},
    **{"MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8},
}
# Spaces of which ITK knows how they lie in the patient.
_NRRD_SPACES = re.compile(
    r"(left-posterior-superior|right-anterior-superior|left-anterior-superior|lps|ras|las)(-time)?"
)


class _Said(Enum):
    """What a header says of how its image lies in the patient."""

    NOTHING = auto()
    DIRECTIONS = auto()
    ALL = auto()


@dataclass(frozen=True)
class TextHeader:
    """The fields of a header by lower-case name, and the byte at which it ends."""

    fields: Mapping[str, str]
    end: int


def has_text_header(path: Path) -> bool:
    """Whether a file's ending is that of NRRD or MetaImage."""
    return path.name.lower().endswith((*NRRD_ENDINGS, *META_ENDINGS))


def read_text_header(title: str, path: Path) -> TextHeader:
    """The header of an NRRD or MetaImage file. Raises InputError where a field stands there twice.

    title: how the message calls the sequence.
    """
    nrrd = path.name.lower().endswith(NRRD_ENDINGS)
    with path.open("rb") as stream:
        if nrrd:
            return _fields(title, path, stream, ":", lambda line: not line)
        return _fields(title, path, stream, "=", lambda line: line.lower().startswith("elementdatafile"))


def check_text_header(title: str, path: Path, header: TextHeader) -> tuple[str, ...]:
    """A warning where the header does not say how the image lies in the patient.

    title: how messages call the sequence. Raises InputError for numbers that are none, types of voxels that can't be
    read and data that are missing, GeometryError for voxels without a size.
    """
    check = _check_nrrd if path.name.lower().endswith(NRRD_ENDINGS) else _check_meta_image
    said = check(title, path, header)
    if said is _Said.ALL:
        return ()
    how = {
        _Said.NOTHING: "It is taken as axial slices, the patient's right in the first column, from the feet up",
        _Said.DIRECTIONS: "Its axes are kept, as to the patient's left, back and head where it names no others",
    }[said]
    return (f"{title}'s header does not say how the image lies in the patient. {how}: check that it looks so.",)


def integer(title: str, path: Path, header: TextHeader, name: str, default: int) -> int:
    """A whole number of the header. Raises InputError for anything else."""
    text = header.fields.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise _nonsense(title, path, name, text) from error


def data_file(title: str, path: Path, name: str) -> Path:
    """The one file beside a header that holds its data; a list or a pattern of several is refused by InputError."""
    data = path.parent / name
    if not data.is_file():
        raise InputError(
            f"{title}: {path} can't be read: its data are in {name}, which is no single file beside it.",
            "Copy the data file too, or save the image as one NRRD file.",
        )
    return data


def _check_nrrd(title: str, path: Path, header: TextHeader) -> _Said:
    fields = header.fields
    count = integer(title, path, header, "dimension", 0)
    _sizes(title, path, header, "sizes", count)
    kind = fields.get("type", "").lower()
    if kind not in _NRRD_TYPES:
        raise _unknown_type(title, path, kind)
    for name in ("line skip", "lineskip", "byte skip", "byteskip"):
        if integer(title, path, header, name, 0) < -1:
            raise _nonsense(title, path, name, fields[name])
    directions = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    spacings = [one for one in fields.get("spacings", "").split() if _is_size(one)]
    if max(len(directions), len(spacings)) < min(count, 3):
        raise _no_size(title, path, "space directions")
    if min(map(float, spacings), default=1.0) <= 0:
        raise _no_extent(title, path, tuple(map(float, spacings)))
    # ITK writes four dimensions without a space's name, as it orders three: left, posterior, superior.
    in_patient = bool(_NRRD_SPACES.fullmatch(fields.get("space", "").lower())) or fields.get("space dimension") == "4"
    if not directions:
        return _Said.NOTHING
    return _Said.ALL if in_patient and "space origin" in fields else _Said.DIRECTIONS


def _check_meta_image(title: str, path: Path, header: TextHeader) -> _Said:
    fields = header.fields
    count = integer(title, path, header, "ndims", 0)
    sizes = _sizes(title, path, header, "dimsize", count)
    check_size(title, sizes)
    kind = fields.get("elementtype", "").upper()
    if kind.removesuffix("_ARRAY") not in _META_BYTES:
        raise _unknown_type(title, path, kind)
    channels = integer(title, path, header, "elementnumberofchannels", 1)
    skipped = integer(title, path, header, "headersize", 0)
    if not 1 <= channels <= 64:
        raise _nonsense(title, path, "elementnumberofchannels", str(channels))
    if skipped < -1:
        raise _nonsense(title, path, "headersize", str(skipped))
    if "elementspacing" not in fields:
        raise _no_size(title, path, "ElementSpacing")
    spacing = _numbers(title, path, header, "elementspacing", count)
    if min(spacing) <= 0:  # ITK turns the axis round, other programs leave it
        raise _no_extent(title, path, spacing)
    matrix = _the_one(title, path, header, ("transformmatrix", "rotation", "orientation"), count * count)
    offset = _the_one(title, path, header, ("offset", "position", "origin"), count)
    wanted = math.prod(sizes) * channels * _META_BYTES[kind.removesuffix("_ARRAY")]
    _check_meta_data(title, path, header, max(0, skipped) + wanted)
    if not matrix:
        return _Said.NOTHING
    return _Said.ALL if offset else _Said.DIRECTIONS


def _check_meta_data(title: str, path: Path, header: TextHeader, wanted: int) -> None:
    """That the data are there; how many bytes, only where they are stored as they are."""
    name = header.fields.get("elementdatafile", "")
    local = name.upper() == "LOCAL"
    data = path if local else data_file(title, path, name)
    found = data.stat().st_size - (header.end if local else 0)
    plain = header.fields.get("compresseddata", "").lower() not in ("true", "1", "t")
    if plain and header.fields.get("binarydata", "true").lower() in ("true", "1", "t") and found < wanted:
        raise InputError(
            f"{title}: {data} can't be read: it has {found} of {wanted} bytes of data.", "Copy or export it again."
        )


def _sizes(title: str, path: Path, header: TextHeader, name: str, count: int) -> tuple[int, ...]:
    if not 1 <= count <= _MOST_DIMENSIONS:
        raise _nonsense(title, path, "number of dimensions", str(count))
    sizes = _numbers(title, path, header, name, count)
    if not all(size == int(size) and 1 <= size < _LONGEST_AXIS for size in sizes):
        raise _nonsense(title, path, name, header.fields[name])
    return tuple(int(size) for size in sizes)


def _numbers(title: str, path: Path, header: TextHeader, name: str, count: int) -> tuple[float, ...]:
    """That many finite numbers."""
    text = header.fields.get(name, "")
    try:
        numbers = tuple(float(one) for one in text.split())
    except ValueError as error:
        raise _nonsense(title, path, name, text) from error
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise _nonsense(title, path, name, text)
    return numbers


def _the_one(title: str, path: Path, header: TextHeader, names: tuple[str, ...], count: int) -> str:
    """Which of a field's names the header uses, "" for none; InputError where two of them give other numbers."""
    used = [name for name in names if name in header.fields]
    if len({_numbers(title, path, header, name, count) for name in used}) > 1:
        raise InputError(
            f"{title}: {path} can't be read: its header gives {used[0]} twice, as {used[1]} too.",
            "Copy or export it again.",
        )
    return used[0] if used else ""


def _is_size(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _nonsense(title: str, path: Path, name: str, value: str) -> InputError:
    return InputError(
        f"{title}: {path} can't be read: its header gives {value[:40] or 'nothing'!r} as {name}.",
        "Copy or export it again.",
    )


def _unknown_type(title: str, path: Path, kind: str) -> InputError:
    return InputError(
        f"{title} has voxels of a type that is not supported ({kind[:40] or 'none is given'}) in {path}.",
        "Save it with 16-bit integers or 32-bit floating point numbers.",
    )


def _no_extent(title: str, path: Path, spacing: tuple[float, ...]) -> GeometryError:
    return GeometryError(
        f"{title} has a voxel spacing of {' x '.join(f'{mm:g}' for mm in spacing)} mm in {path}.",
        "Correct the spacing in the file's header, or convert the original DICOM series again.",
    )


def _no_size(title: str, path: Path, field: str) -> GeometryError:
    return GeometryError(
        f"{title}: the header of {path} does not say how large a voxel is (no {field}).",
        "Convert the original DICOM series again, or save the image with its spacing.",
    )


def _fields(title: str, path: Path, stream: BinaryIO, separator: str, is_last: Callable[[str], bool]) -> TextHeader:
    fields: dict[str, str] = {}
    for _ in range(_LONGEST_HEADER_LINES):
        raw = stream.readline(_LONGEST_LINE)
        line = raw.decode("latin-1").strip()
        name, found, value = line.partition(separator)
        key = name.strip().lower()
        if found and not line.startswith("#"):
            if key in fields and not value.startswith("="):
                raise InputError(
                    f"{title}: {path} can't be read: its header gives {key[:40]} twice.", "Copy or export it again."
                )
            fields[key] = value.lstrip("=").strip()
        if not raw or is_last(line):
            break
    return TextHeader(fields, stream.tell())
