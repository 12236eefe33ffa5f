"""One file over HTTP(S), resumed where it was cut, or from a mirror folder.

Its size is checked here; the caller checks its SHA-256. Messages begin in lower case: the caller says what was wanted.
"""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from BrainTumorSegLib.engine.errors import Cancelled, ModelError
from BrainTumorSegLib.engine.files import output_errors

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.models.http_stream import Head

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_WORTH_A_RETRY = {408, 425, 429, 500, 502, 503, 504}
_MEANING = {
    401: ": it wants a password",
    403: ": it forbids access",
    404: ": the file is not there",
    407: ": the proxy wants a password",
    410: ": the file is no longer there",
}


@dataclass(frozen=True)
class DownloadSettings:
    """How patient a download is, and through which proxy it goes.

    connect_timeout_s: for the connection. read_timeout_s: without one new byte. attempts: in a row without one new
    byte. backoff_s: wait before the second of them; it doubles each time. proxy: an URL that replaces what the
    environment (HTTPS_PROXY, NO_PROXY, the system's settings) says.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    attempts: int = 4
    backoff_s: float = 1.0
    proxy: str | None = None


@dataclass(frozen=True)
class Transfer:
    """One file to bring: where it grows, how large it will be, who is told and who may stop it.

    part: the unfinished file. on_progress gets the bytes that are there and the bytes in all.
    """

    part: Path
    size_bytes: int
    on_progress: Callable[[int, int], None]
    is_cancelled: Callable[[], bool]

    @property
    def done_bytes(self) -> int:
        """Size of the part, 0 where there is none."""
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def etag_file(self) -> Path:
        """Where the server's name for the content of ``part`` is kept between two sessions."""
        return self.part.with_name(self.part.name + ".etag")

    def discard(self) -> None:
        """Remove the part and what is remembered about it."""
        self.part.unlink(missing_ok=True)
        self.etag_file.unlink(missing_ok=True)


class Interrupted(Exception):  # noqa: N818 - an event that a retry answers, never seen outside
    """The transfer stopped for a reason that may pass; the text says which."""


def download_file(url: str, transfer: Transfer, settings: DownloadSettings) -> None:
    """Complete the part from an http(s) address, asking only for what it still lacks.

    The part stays when the transfer stops early, so that the next call goes on from there. Raises ModelError where
    the server can't be reached, refuses or has another file; OutputError where the part can't be written; Cancelled
    within 0.2 s of the wish.
    """
    failures = 0
    while True:
        before = transfer.done_bytes
        try:
            _attempt(url, transfer, settings)
            return
        except Interrupted as reason:
            failures = 1 if transfer.done_bytes > before else failures + 1
            logger.info("Download interrupted (%s), attempt %d of %d", reason, failures, settings.attempts)
            if failures >= settings.attempts:
                raise ModelError(
                    f"the transfer failed {failures} times in a row, at last because {reason}."
                ) from reason
        _wait(settings.backoff_s * 2 ** (failures - 1), transfer.is_cancelled)


def copy_file(source: Path, transfer: Transfer) -> None:
    """Copy a file from a local or network folder to the part.

    Raises ModelError where it can't be read or has another size, OutputError where the part can't be written.
    """

    def next_piece() -> bytes:
        if transfer.is_cancelled():
            raise Cancelled
        return stream.read(1024 * 1024)

    try:
        with source.open("rb") as stream:
            _check_size(source.stat().st_size, transfer)
            _write(iter(next_piece, b""), 0, transfer)
    except OSError as error:
        raise ModelError(f"{source} can't be read: {error.strerror or error}.") from error


def _attempt(url: str, transfer: Transfer, settings: DownloadSettings) -> None:
    from BrainTumorSegLib.engine.models.http_stream import open_url  # requests takes 0.1 s to import: only when needed

    if (offset := transfer.done_bytes) > transfer.size_bytes:
        transfer.discard()
        offset = 0
    if offset == transfer.size_bytes:
        return
    with open_url(url, _range_headers(transfer, offset), settings, transfer.is_cancelled) as (head, body):
        _write(body, _start_of_body(head, transfer, offset), transfer)
    if transfer.done_bytes < transfer.size_bytes:
        raise Interrupted(f"the connection was cut at {transfer.done_bytes} of {transfer.size_bytes} bytes")


def _range_headers(transfer: Transfer, offset: int) -> dict[str, str]:
    # identity: a range of a compressed body would be no range of the file.
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if transfer.etag_file.is_file():
            headers["If-Range"] = transfer.etag_file.read_text(encoding="ascii")
    return headers


def _start_of_body(head: Head, transfer: Transfer, offset: int) -> int:
    """Where in the file the answer's body begins. Raises Interrupted or ModelError for an answer of no use."""
    if head.status == _PARTIAL:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", head.headers.get("Content-Range", ""))
        if found and int(found[1]) == offset and found[2] in {"*", str(transfer.size_bytes)}:
            return offset
        transfer.discard()
        raise Interrupted("the server sent another part of the file than was asked for")
    if head.status == _RANGE_NOT_SATISFIABLE:
        transfer.discard()
        raise Interrupted("the file on the server is shorter than the part that is here")
    if head.status in _WORTH_A_RETRY:
        raise Interrupted(f"the server answered {head.status}")
    if head.status != _OK:
        raise ModelError(f"the server answered {head.status}{_MEANING.get(head.status, '')}.")
    if "Content-Length" in head.headers:
        _check_size(int(head.headers["Content-Length"]), transfer)
    _remember_etag(head, transfer)
    return 0


def _remember_etag(head: Head, transfer: Transfer) -> None:
    """Keep the server's strong name of this content: If-Range with it never joins the halves of two files."""
    etag = head.headers.get("ETag", "")
    with output_errors(transfer.part):
        transfer.etag_file.unlink(missing_ok=True)
        if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag):
            transfer.etag_file.write_text(etag, encoding="ascii")


def _write(pieces: Iterator[bytes], start: int, transfer: Transfer) -> None:
    """Write the pieces into the part from byte ``start``. Raises ModelError for more than the file's bytes."""
    done = start
    with output_errors(transfer.part):
        # Unbuffered: what was received is in the part whatever happens next, and a full disk is seen at the write.
        stream = transfer.part.open("ab" if start else "wb", buffering=0)
    with stream:
        transfer.on_progress(done, transfer.size_bytes)
        for piece in pieces:
            done += len(piece)
            if done > transfer.size_bytes:
                transfer.discard()
                raise ModelError(f"more than the expected {transfer.size_bytes} bytes were sent: it is another file.")
            with output_errors(transfer.part):
                _write_whole(stream, piece)
            transfer.on_progress(done, transfer.size_bytes)


def _write_whole(stream: io.FileIO, piece: bytes) -> None:
    """Write all of a piece: an unbuffered write may take only its beginning (then the next says why)."""
    left = memoryview(piece)
    while left:
        left = left[stream.write(left) :]


def _check_size(found_bytes: int, transfer: Transfer) -> None:
    if found_bytes != transfer.size_bytes:
        raise ModelError(f"another file is there: {found_bytes} bytes instead of {transfer.size_bytes}.")


def _wait(seconds: float, is_cancelled: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if is_cancelled():
            raise Cancelled
        time.sleep(min(left, _POLL_S))
