"""Errors of other libraries and defects of our own, in the words of ours: the one place that translates them."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from BrainTumorSegLib.engine.errors import BrainTumorSegError, Cancelled, DefectError, InputError, MemoryExhaustedError
from BrainTumorSegLib.engine.paths import shown

PACKAGE_FOLDER = Path(__file__).parents[1]

# PyTorch's and ITK's allocators raise a plain RuntimeError. So does oneDNN, which only names the step that failed; its
# words for an operation that it does not know go on with " descriptor". On a GPU NVIDIA's libraries have words of their
# own, and PyTorch says that it found no engine for a convolution where all of them want more memory than there is; a
# GPU that has none anyway is known when it is tried out (inference/device.py). Python can't start a thread without
# memory for its stack. A library that finds no room is an ImportError or OSError: on Linux "failed to map segment from
# shared object", on Windows error 1455, about the paging file, or 8.
_OUT_OF_MEMORY = re.compile(
    r"not enough memory|out of memory|(can't|cannot) allocate memory|failed to allocate memory|bad_alloc"
    r"|could not (create|execute) a primitive(?! descriptor)|can't start new thread"
    r"|CU[A-Z]+_STATUS_\w*ALLOC\w*_FAILED|unable to find an engine to execute this computation"
    r"|failed to map segment from shared object|WinError (1455|8)\b|paging file is too small",
    re.IGNORECASE,
)
_CARRIERS = (RuntimeError, ImportError, OSError)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one of those that led to it, means that a library got no memory.

    Libraries wrap it ("applying transform …"), and our own code does ("can't be read"), each with words of its own.

    >>> is_out_of_memory(RuntimeError("could not create a primitive"))
    True
    """
    return any(_got_no_memory(each) for each in _with_its_causes(error))


def _got_no_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, _CARRIERS) and bool(_OUT_OF_MEMORY.search(str(error))))


def _with_its_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, as a traceback shows them."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        yield following
        seen.add(id(following))
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)


def translate(error: Exception) -> BrainTumorSegError:
    """The same error as something a person can read and act on.

    Ours come back as they are, unless want of memory led to them: "damaged" would be untrue then.

    >>> translate(ZeroDivisionError("division by zero")).kind
    'defect'
    """
    if isinstance(error, (Cancelled, MemoryExhaustedError)):
        return error
    if is_out_of_memory(error):
        return MemoryExhaustedError(
            "There is not enough memory for this study.", "Close other programs, or use a machine with more memory."
        )
    if isinstance(error, BrainTumorSegError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return BrainTumorSegError(
            f"The Python package {error.name} is missing.",
            "Install BrainTumorSeg's requirements into this Python; `braintumorseg doctor` says which.",
        )
    if isinstance(error, OSError) and error.filename is not None:
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
        return InputError(f"{shown(Path(path))} can't be used: {error.strerror or error}.", _way_out(error))
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return DefectError(f"This is a defect, {text}{_place(error)}.", "Please report it.")


def _way_out(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "Ask whoever owns it for permission, or use a folder of your own."
    return "Check the path and the disk."


def _place(error: Exception) -> str:
    """Where in our own code it happened, if anywhere."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(PACKAGE_FOLDER):
            return f" ({path.relative_to(PACKAGE_FOLDER).as_posix()}, line {frame.lineno or 0:d})"
    return ""
