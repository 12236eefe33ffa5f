"""Compressed data of NRRD and MetaImage files, held against the checksum that they carry.

ITK inflates them without looking at it (seen with ITK 5.4): one changed byte is read as another image. Formats:
https://teem.sourceforge.net/nrrd/format.html and MetaIO's documentation; zlib's Adler-32 is RFC 1950, gzip's CRC-32
RFC 1952.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from BrainTumorSegLib.engine.errors import InputError

_CHUNK_BYTES = 1 << 20
_EITHER_ZLIB_OR_GZIP = 47
_LONGEST_HEADER_LINES = 1000
_NRRD_ENDINGS = (".nrrd", ".nhdr")
_META_ENDINGS = (".mha", ".mhd")


def check_compressed(title: str, path: Path) -> None:
    """Refuses an NRRD or MetaImage file whose compressed data are not those that were written.

    title: how the message calls the sequence. Files of other endings and data that are not compressed pass: those carry
    no checksum. Reads the data once through. Raises InputError where they are damaged, end early or are missing.
    """
    name = path.name.lower()
    if name.endswith(_NRRD_ENDINGS):
        _check_nrrd(title, path)
    elif name.endswith(_META_ENDINGS):
        _check_meta_image(title, path)


def _check_nrrd(title: str, path: Path) -> None:
    with path.open("rb") as stream:
        header = _header(stream, ":", lambda line: not line)
        if header.get("encoding", "").lower() not in ("gzip", "gz"):
            return
        elsewhere = header.get("data file") or header.get("datafile")
        if elsewhere is None:
            _skip_lines(stream, int(header.get("line skip", "0")))
            _check_stream(title, path, stream)
            return
    _check_file(title, path, elsewhere)


def _check_meta_image(title: str, path: Path) -> None:
    with path.open("rb") as stream:
        header = _header(stream, "=", lambda line: line.lower().startswith("elementdatafile"))
        if header.get("compresseddata", "").lower() not in ("true", "1", "t"):
            return
        elsewhere = header.get("elementdatafile", "")
        if elsewhere.upper() == "LOCAL":
            _check_stream(title, path, stream)
            return
    _check_file(title, path, elsewhere)


def _check_file(title: str, path: Path, elsewhere: str) -> None:
    """The one file beside the header that holds the data; a list of several is refused."""
    data = path.parent / elsewhere
    if not data.is_file():
        raise InputError(
            f"{title}: {path} can't be read: its data are in {elsewhere}, which is no single file beside it.",
            "Copy the data file too, or save the image as one NRRD file.",
        )
    with data.open("rb") as stream:
        _check_stream(title, data, stream)


def _check_stream(title: str, path: Path, stream: BinaryIO) -> None:
    inflated = zlib.decompressobj(_EITHER_ZLIB_OR_GZIP)
    try:
        while not inflated.eof and (chunk := stream.read(_CHUNK_BYTES)):
            _drain(inflated, chunk)
    except zlib.error as error:
        raise _damaged(title, path) from error
    if not inflated.eof:
        raise _damaged(title, path)


def _drain(inflated: zlib._Decompress, chunk: bytes) -> None:
    """Inflates a chunk in bounded pieces: a few bytes can stand for gigabytes."""
    while chunk and not inflated.eof:
        inflated.decompress(chunk, _CHUNK_BYTES)
        chunk = inflated.unconsumed_tail


def _damaged(title: str, path: Path) -> InputError:
    return InputError(
        f"{title}: {path} can't be read: its compressed data end early or are corrupt.", "Copy or export it again."
    )


def _header(stream: BinaryIO, separator: str, is_last: Callable[[str], bool]) -> Mapping[str, str]:
    """The header's fields by lower-case name; leaves the stream behind its last line."""
    fields: dict[str, str] = {}
    for _ in range(_LONGEST_HEADER_LINES):
        raw = stream.readline(1 << 16)
        line = raw.decode("latin-1").strip()
        name, found, value = line.partition(separator)
        if found and not line.startswith("#"):
            fields[name.strip().lower()] = value.lstrip("=").strip()
        if not raw or is_last(line):
            break
    return fields


def _skip_lines(stream: BinaryIO, count: int) -> None:
    for _ in range(count):
        stream.readline()
