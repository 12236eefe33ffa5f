"""Two labelmap files compared; those of two studies after one was registered to the other, where that is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.measurement.agreement import Comparison
from BrainTumorSegLib.engine.measurement.comparison import compare
from BrainTumorSegLib.engine.service.run import ALIGNMENTS
from BrainTumorSegLib.engine.settings import REGISTER
from BrainTumorSegLib.engine.study.alignment import IsCancelled, motion_of
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.labelmap import read_labelmap
from BrainTumorSegLib.engine.study.reading import StudyPaths, never, read_study
from BrainTumorSegLib.engine.study.study import Motion


@dataclass(frozen=True)
class CompareJob:
    """first, second: see ``read_labelmap``. first_image, second_image: the images that they were outlined on.

    register: as in ``SegmentSettings``; without both images nothing is registered.
    """

    first: Path
    second: Path
    first_image: Path | None = None
    second_image: Path | None = None
    register: str = REGISTER.default

    def __post_init__(self) -> None:
        """Raises InputError for a word that ``register`` does not know."""
        REGISTER.check(self.register)


@dataclass(frozen=True)
class Compared:
    """The numbers, and how the second study was moved onto the first; None where it lies as its header says."""

    comparison: Comparison
    motion: Motion | None


def compare_files(
    job: CompareJob, on_progress: Callable[[str, float], None], is_cancelled: IsCancelled = never
) -> Compared:
    """Compare two labelmaps, the second where its study lies on the first one's.

    on_progress: called with "read", "align" or "compare" and the fraction done. Raises as ``read_labelmap``,
    ``read_study``, the registration and ``compare`` do, and Cancelled.
    """
    on_progress("read", 0.0)
    first, second = read_labelmap(job.first), read_labelmap(job.second)
    motion = None
    if job.first_image is not None and job.second_image is not None:
        first_image, second_image = (_image(path, is_cancelled) for path in (job.first_image, job.second_image))
        on_progress("align", 0.2)
        found = ALIGNMENTS[job.register](first_image, second_image, is_cancelled).registration
        motion = None if found is None else motion_of(found)
    if motion is not None:
        back = np.linalg.inv(np.reshape(motion.flair_to_sequence_lps, (4, 4)))
        second = Volume(second.array, second.geometry.moved(back))
    on_progress("compare", 0.8)
    return Compared(compare(first, second), motion)


def _image(path: Path, is_cancelled: IsCancelled) -> sitk.Image:
    study = read_study(StudyPaths(path), is_cancelled=is_cancelled)
    return Volume(study.flair, study.geometry).to_image()
