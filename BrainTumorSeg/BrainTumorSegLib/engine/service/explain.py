"""The slice classifier's explanation of one slice, from files to a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service.run import ALIGNMENTS
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study


@dataclass(frozen=True)
class ExplainJob:
    """inputs: the study as it was segmented. index: axial slice, from 0 the lowest. output: the volume to write, NRRD.

    model, register: as in ``RunSettings``. classifier_sha256: of the classifier that scored the study, where that is
    known: another version's map would explain nothing.
    """

    inputs: StudyPaths
    index: int
    output: Path
    model: str | None = None
    register: str = "auto"
    classifier_sha256: str | None = None


def explain(job: ExplainJob, store: ModelStore, is_cancelled: Callable[[], bool]) -> None:
    """Write the class-activation map of one slice, float32 0-1 on FLAIR's grid.

    Raises InputError where the model has no slice classifier or another version of it, and as ``explain_slice`` does.
    """
    from BrainTumorSegLib.engine.inference.explanation import explain_slice
    from BrainTumorSegLib.engine.models.bundle import load_bundle

    _, *classifier = store.index.needed(job.model)
    if not classifier:
        raise InputError("This model has no slice classifier, so there is nothing to explain.", "Use another model.")
    if job.classifier_sha256 not in (None, classifier[0].sha256):
        raise InputError(
            "This result was made with another version of the slice classifier than the one that is here.",
            "Segment the study again.",
        )
    study = read_study(job.inputs, ALIGNMENTS[job.register], is_cancelled)
    found = explain_slice(study, load_bundle(store.path(classifier[0].name)), job.index)
    with atomic_path(job.output) as temporary:
        sitk.WriteImage(Volume(found, study.geometry).to_image(), str(temporary), useCompression=True)
