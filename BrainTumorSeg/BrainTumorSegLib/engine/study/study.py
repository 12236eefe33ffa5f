"""A study: the MR sequences of one patient on one grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import Remedy
from BrainTumorSegLib.engine.study.geometry import Geometry


@dataclass(frozen=True)
class Source:
    """Where a sequence came from: the path read, and the DICOM series UID where there is one."""

    path: Path
    series_uid: str | None = None


@dataclass(frozen=True)
class Motion:
    """The rigid motion by which a sequence was laid onto FLAIR.

    flair_to_sequence_lps: 4 x 4, row by row; takes points of FLAIR's space to those of the sequence's own (LPS, mm).
    shift_mm: how far FLAIR's centre moves. angle_degrees: total rotation, 0-180.
    """

    flair_to_sequence_lps: tuple[float, ...]
    shift_mm: float
    angle_degrees: float


@dataclass(frozen=True)
class Study:
    """FLAIR, T1 and contrast-enhanced T1 on FLAIR's grid.

    Arrays are float32 [K, J, I], finite, in the scanner's own arbitrary units. ``t1`` and ``t1c`` are None where the
    sequence is missing (preprocessing fills them with FLAIR, as the training data does). ``warnings`` are sentences
    for the user, ``remedies`` what would help against some of them. ``sources`` maps "flair", "t1", "t1c" to where they
    were read, ``motions`` those that were registered to FLAIR to how they were moved.
    """

    flair: npt.NDArray[np.float32]
    geometry: Geometry
    t1: npt.NDArray[np.float32] | None = None
    t1c: npt.NDArray[np.float32] | None = None
    sources: dict[str, Source] = field(default_factory=dict)
    motions: dict[str, Motion] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
