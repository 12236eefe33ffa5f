"""The engine: everything a result depends on. No Slicer, no Qt; imports nothing else of this project.

This is its front door for Python. A name is loaded when it is asked for: Slicer's process uses some of them and must
never load torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "BrainTumorSegError": "errors",
    "Cancelled": "errors",
    "InputError": "errors",
    "ModelStore": "models.store",
    "OutputPaths": "output.writing",
    "Result": "measurement.result",
    "SegmentSettings": "settings",
    "Segmenter": "inference.segmenter",
    "Study": "study.study",
    "StudyPaths": "study.reading",
    "build_report": "output.report",
    "load_segmenter": "inference.segmenter",
    "read_study": "study.reading",
    "study_from_images": "study.reading",
    "write_result": "output.writing",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """A name of the front door, from the file that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
