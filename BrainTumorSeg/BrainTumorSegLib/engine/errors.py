"""The errors that people read: what happened, why, and what to do about it.

Raised anywhere below, rendered only at the edges (command line, worker, widget).
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Remedy(enum.Enum):
    """What would help and every front end has a control of its own for, which it names in its own words."""

    REGISTER = "register"
    """Registering T1 and T1 with contrast to FLAIR."""
    EXAMINE = "examine"
    """Looking at what this computer can run."""


class BrainTumorSegError(Exception):
    """Base of every error this project raises on purpose.

    ``kind`` is a stable word for programs, ``message`` says what happened and why, ``action`` what to do about it, in
    words that fit every front end; ``remedy`` is a part of that for which each has a control. ``exit_code`` is what the
    command line ends with.
    """

    kind: ClassVar[str] = "defect"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, action: str = "", remedy: Remedy | None = None) -> None:
        super().__init__(message, action)
        self.message = message
        self.action = action
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.action}".strip()


class DefectError(BrainTumorSegError):
    """Something that can only be wrong in this program itself; nothing that a user gave."""


class InputError(BrainTumorSegError):
    """The study, a setting or a path given by the user can't be used."""

    kind = "input"
    exit_code = 2


class GeometryError(InputError):
    """Arrays or volumes whose grids don't fit each other."""

    kind = "geometry"


class OutputError(InputError):
    """A result can't be written: no permission, disk full, not a folder."""

    kind = "output"


class ModelError(BrainTumorSegError):
    """A model is missing, can't be reached, or failed verification."""

    kind = "model"
    exit_code = 3


class MemoryExhaustedError(BrainTumorSegError):
    """Not enough memory, after every smaller way of working was tried."""

    kind = "memory"
    exit_code = 4


class Cancelled(BrainTumorSegError):  # noqa: N818 - a wish of the user, not an error
    """The user asked to stop. Never reported as a failure."""

    kind = "cancelled"
    exit_code = 5

    def __init__(self, kept: str = "Nothing was written.") -> None:
        """kept: what is there of the work, for the user."""
        super().__init__("Cancelled.", kept)
