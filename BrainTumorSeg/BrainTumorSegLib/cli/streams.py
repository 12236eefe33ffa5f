"""Standard output and error that take whatever is said: closed, full, or of a small character set."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator

from BrainTumorSegLib.engine.errors import OutputError

_LAST_STANDARD_DESCRIPTOR = 2


def prepare_streams() -> None:
    """Make sys.stdout and sys.stderr safe, once, at the start of a process of its own.

    A closed stream becomes the null device, so that no file that is opened later takes its place. Characters that the
    stream's encoding lacks are escaped. Afterwards printing raises OutputError where standard output takes no more
    (disk full), and BrokenPipeError where its reader has gone; standard error never raises: remarks and progress must
    not spoil a result.
    """
    while os.open(os.devnull, os.O_RDWR) < _LAST_STANDARD_DESCRIPTOR:
        pass
    sys.stdout = _safe(sys.stdout, 1, _Answers)
    sys.stderr = _safe(sys.stderr, 2, _Remarks)


class _Answers(io.TextIOWrapper):
    """Standard output: what was asked for."""

    def write(self, text: str) -> int:
        with self._own_words():
            return super().write(text)

    def flush(self) -> None:
        with self._own_words():
            super().flush()

    @contextlib.contextmanager
    def _own_words(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is left in the buffer must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise OutputError(
                f"The answer can't be written to standard output: {error.strerror or error}.",
                "Send it elsewhere. The files that the command writes are complete.",
            ) from error


class _Remarks(io.TextIOWrapper):
    """Standard error: warnings, progress, the line that says what went wrong."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def _safe(stream: object, descriptor: int, kind: type[_Answers] | type[_Remarks]) -> io.TextIOWrapper:
    """The same stream as one of ours. stream: None where it was closed at the start."""
    if not isinstance(stream, io.TextIOWrapper):
        return kind(open(descriptor, "wb", closefd=False), "utf-8", "backslashreplace")
    encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
    return kind(stream.detach(), encoding, "backslashreplace", None, line_buffering, write_through)
