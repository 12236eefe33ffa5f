"""Errors of other libraries and defects of our own, in the words of ours: the one place that translates them."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

from BrainTumorSegLib.engine.errors import BrainTumorSegError, DefectError, InputError, MemoryExhaustedError
from BrainTumorSegLib.engine.paths import shown

PACKAGE_FOLDER = Path(__file__).parents[1]

# PyTorch's and ITK's allocators raise a plain RuntimeError. So does oneDNN, which only names the step that failed; its
# words for an operation that it does not know go on with " descriptor". Python can't start a thread without memory for
# its stack. A library that finds no room is an ImportError or OSError: on Linux "failed to map segment from shared
# object", on Windows error 1455, about the paging file, or 8.
_OUT_OF_MEMORY = re.compile(
    r"not enough memory|out of memory|(can't|cannot) allocate memory|failed to allocate memory|bad_alloc"
    r"|could not (create|execute) a primitive(?! descriptor)|can't start new thread"
    r"|failed to map segment from shared object|WinError (1455|8)\b|paging file is too small",
    re.IGNORECASE,
)
_CARRIERS = (RuntimeError, ImportError, OSError)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a library's error means that it got no memory.

    >>> is_out_of_memory(RuntimeError("could not create a primitive"))
    True
    """
    return isinstance(error, MemoryError) or (isinstance(error, _CARRIERS) and bool(_OUT_OF_MEMORY.search(str(error))))


def translate(error: Exception) -> BrainTumorSegError:
    """The same error as something a person can read and act on; ours come back as they are.

    >>> translate(ZeroDivisionError("division by zero")).kind
    'defect'
    """
    if isinstance(error, BrainTumorSegError):
        return error
    if is_out_of_memory(error):
        return MemoryExhaustedError(
            "There is not enough memory for this study.", "Close other programs, or use a machine with more memory."
        )
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
