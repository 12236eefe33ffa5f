"""Errors of other libraries and defects of our own, in the words of ours: the one place that translates them."""

from __future__ import annotations

import traceback
from pathlib import Path

from BrainTumorSegLib.engine.errors import BrainTumorSegError, MemoryExhaustedError

PACKAGE_FOLDER = Path(__file__).parents[1]


def translate(error: Exception) -> BrainTumorSegError:
    """The same error as something a person can read and act on; ours come back as they are.

    >>> translate(ZeroDivisionError("division by zero")).kind
    'defect'
    """
    if isinstance(error, BrainTumorSegError):
        return error
    if isinstance(error, MemoryError):
        return MemoryExhaustedError(
            "There is not enough memory for this study.", "Close other programs, or use a machine with more memory."
        )
    if isinstance(error, ModuleNotFoundError):
        return BrainTumorSegError(
            f"The Python package {error.name} is missing.",
            "Install BrainTumorSeg's requirements into this Python; `braintumorseg doctor` says which.",
        )
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return BrainTumorSegError(f"This is a defect, {text}{_place(error)}.", "Please report it.")


def _place(error: Exception) -> str:
    """Where in our own code it happened, if anywhere."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(PACKAGE_FOLDER):
            return f" ({path.relative_to(PACKAGE_FOLDER).as_posix()}, line {frame.lineno})"
    return ""
