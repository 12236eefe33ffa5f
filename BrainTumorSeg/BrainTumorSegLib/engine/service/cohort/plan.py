"""What a batch will do: its studies from a folder or a list, and the weights that do them."""

from __future__ import annotations

import os
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service.cohort.batch import Batch
from BrainTumorSegLib.engine.service.cohort.find import BATCH_FILE, find_studies
from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles
from BrainTumorSegLib.engine.service.cohort.table import read_table
from BrainTumorSegLib.engine.settings import RunSettings


def plan_of(inputs: Path, results: Path) -> tuple[StudyFiles, ...]:
    """The studies of a folder (the results' own left out), or those that a CSV lists.

    Raises InputError for a folder of results, and as ``find_studies`` and ``read_table`` do.
    """
    if inputs.is_file():
        return read_table(inputs)
    if inputs.is_dir() and ((inputs / BATCH_FILE).is_file() or os.path.realpath(inputs) == os.path.realpath(results)):
        raise InputError(f"The folder {inputs} is one for results, no cohort.", "Choose two folders, one for each.")
    return find_studies(inputs, leave_out=results)


def batch_of(
    studies: tuple[StudyFiles, ...],
    results: Path,
    settings: RunSettings,
    store: ModelStore,
    with_probability: bool,
    redo: bool,
) -> Batch:
    """The batch that does these studies with the store's model. Raises ModelError where it has no such model."""
    models = {entry.name: entry.sha256 for entry in store.index.needed(settings.model)}
    return Batch(studies, results, settings, models, with_probability, redo)
