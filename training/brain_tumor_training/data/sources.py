"""Where training data comes from: Kaggle's folder, or a user's own NIfTI files listed in a CSV."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from brain_tumor_training.data.cache import PreparedPatient, build_cache
from brain_tumor_training.data.folds import read_folds, refuse_mixed_folds
from brain_tumor_training.data.kaggle import patient_folders, read_patient
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

COLUMNS = ("patient", "flair", "t1", "t1c", "mask")
"""Of the CSV; t1 and t1c may be empty. A column "fold" makes the same file serve as --folds."""


@dataclass(frozen=True)
class KagglePatient:
    """A patient's folder in Kaggle's layout, which already has the network's sampling."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def files(self) -> tuple[Path, ...]:
        """Every image slice."""
        return tuple(sorted(path for path in self.folder.glob("*.tif") if not path.stem.endswith("_mask")))

    def read(self) -> PreparedPatient:
        """Raises InputError for gaps, missing masks or slices of another size than 256 x 256."""
        patient = read_patient(self.folder)
        if patient.mask.shape[1:] != (256, 256):
            raise InputError(
                f"Slices of {patient.mask.shape[1:]} pixels instead of 256 x 256.", "Unpack the data again."
            )
        return PreparedPatient(patient.name, patient.sequences, patient.mask)


@dataclass(frozen=True)
class OwnPatient:
    """A study of the user's own with its reference, brought to the network's sampling as a user's study would be."""

    name: str
    paths: StudyPaths
    mask: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """FLAIR, by which a study is recognised."""
        return (self.paths.flair,)

    def read(self) -> PreparedPatient:
        """Raises InputError for files that can't be read, GeometryError's message for a mask on another grid."""
        study = read_study(self.paths)
        if not self.mask.is_file():
            raise InputError(f"The mask {self.mask} does not exist.", "Check the CSV.")
        reference = Volume.of_image(sitk.ReadImage(str(self.mask)))
        if not reference.geometry.is_close_to(study.geometry, 1e-3):
            raise InputError(f"The mask {self.mask} does not lie on FLAIR's grid.", "Resample it to FLAIR.")
        slices = prepare(study)
        mask = slices.bring((np.asarray(reference.array) > 0).astype(np.float32)) >= 0.5
        return PreparedPatient(self.name, slices.sequences - BACKGROUND, mask, slices.neighbour_step)


TrainingStudy = KagglePatient | OwnPatient


def training_sources(data: Path) -> Sequence[TrainingStudy]:
    """The patients of a folder in Kaggle's layout or of a CSV file. Raises InputError if patients are doubled."""
    sources = _own_patients(data) if data.is_file() else _kaggle_patients(data)
    refuse_doubles(sources)
    return sources


def prepare_cache(data: Path | None, cache: Path, folds: Path | None) -> None:
    """Makes the cache of the data, where there are any, and refuses data that would leak.

    Raises InputError where two patients are one or where folds part two examinations of one person.
    """
    if folds is not None:
        refuse_mixed_folds(read_folds(folds))
    if data is not None:
        build_cache(training_sources(data), cache)


def refuse_doubles(sources: Iterable[TrainingStudy]) -> None:
    """Raises InputError where two patients have one name or the very same images: a split would not part them."""
    names: dict[str, str] = {}
    contents: dict[str, str] = {}
    for source in sources:
        if source.name in names:
            raise InputError(f"The patient {source.name} is there twice.", "Leave one of them out.")
        names[source.name] = source.name
        digest = _digest(source.files)
        if digest in contents:
            raise InputError(
                f"{contents[digest]} and {source.name} hold the same images.",
                "One is a copy, and would be on both sides of a split; leave it out.",
            )
        contents[digest] = source.name


def _kaggle_patients(root: Path) -> Sequence[TrainingStudy]:
    return [KagglePatient(folder) for folder in patient_folders(root)]


def _own_patients(table: Path) -> Sequence[TrainingStudy]:
    with table.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{table} has no column {', '.join(missing)}.", f"Its first line must name {', '.join(COLUMNS)}."
            )
        rows = list(reader)
    if not rows:
        raise InputError(f"{table} lists no patient.", "Give one line per patient.")
    return [_own_patient(table.parent, row) for row in rows]


def _own_patient(folder: Path, row: Mapping[str, str]) -> OwnPatient:
    flair, t1, t1c, mask = (folder / row[column] if row[column] else None for column in COLUMNS[1:])
    if flair is None or mask is None or not row["patient"]:
        raise InputError(f"The line of patient '{row['patient']}' lacks FLAIR, mask or name.", "Complete the CSV.")
    return OwnPatient(row["patient"], StudyPaths(flair, t1, t1c), mask)


def _digest(files: Sequence[Path]) -> str:
    """Of all bytes of the files. Raises InputError for one that is missing."""
    digest = hashlib.sha256()
    for path in files:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror}.", "Check the path.") from error
    return digest.hexdigest()
