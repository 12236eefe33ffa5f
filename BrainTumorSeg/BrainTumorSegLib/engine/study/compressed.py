"""Compressed data of NRRD and MetaImage files, held against the checksum that they carry.

ITK inflates them without looking at it (seen with ITK 5.4): one changed byte is read as another image. zlib's Adler-32
is RFC 1950, gzip's CRC-32 RFC 1952.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.endings import NRRD_ENDINGS
from BrainTumorSegLib.engine.study.text_headers import TextHeader, data_file, integer

_CHUNK_BYTES = 1 << 20
_EITHER_ZLIB_OR_GZIP = 47


def check_compressed(title: str, path: Path, header: TextHeader) -> None:
    """Refuses an NRRD or MetaImage file whose compressed data are not those that were written.

    title: how the message calls the sequence. Data that are not compressed pass: those carry no checksum. Reads the
    data once through. Raises InputError where they are damaged, end early or are missing.
    """
    fields = header.fields
    if path.name.lower().endswith(NRRD_ENDINGS):
        compressed = fields.get("encoding", "").lower() in ("gzip", "gz")
        elsewhere = fields.get("data file") or fields.get("datafile")
    else:
        compressed = fields.get("compresseddata", "").lower() in ("true", "1", "t")
        elsewhere = fields.get("elementdatafile", "")
        elsewhere = None if elsewhere.upper() == "LOCAL" else elsewhere
    if not compressed:
        return
    data = path if elsewhere is None else data_file(title, path, elsewhere)
    with data.open("rb") as stream:
        stream.seek(header.end if elsewhere is None else 0)
        for _ in range(integer(title, path, header, "line skip", 0)):
            if not stream.readline():
                break
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
