"""The roles that a series can have in a study."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The part that a sequence plays in a study; the value is the key in ``Study.sources``."""

    FLAIR = "flair"
    T1 = "t1"
    T1C = "t1c"

    @property
    def label(self) -> str:
        """How users' sentences call it."""
        return {Role.FLAIR: "FLAIR", Role.T1: "T1", Role.T1C: "T1 with contrast"}[self]
