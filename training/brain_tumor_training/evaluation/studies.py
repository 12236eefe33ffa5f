"""Studies with a reference to evaluate on: written from the LGG stacks, or lying ready in folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from brain_tumor_training.data.kaggle import SEQUENCES, read_patient
from brain_tumor_training.data.sources import KagglePatient, training_sources
from brain_tumor_training.evaluation.changes import CHANGES, StudyImages
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths

NOMINAL_SPACING_MM = (0.9, 0.9, 5.5)
"""Columns, rows and slices of a stack without spacing: near the two patients whose native images are known."""

_SUFFIX = ".nii.gz"


@dataclass(frozen=True)
class EvaluationStudy:
    """A study on disk and its reference.

    reference: bool [S, H, W], axial, inferior first, on FLAIR's grid. geometry: FLAIR's own grid.
    has_real_spacing: whether millimetres and millilitres mean what they say. sequences: those that differ from FLAIR.
    """

    name: str
    paths: StudyPaths
    reference: npt.NDArray[np.bool_]
    geometry: Geometry
    has_real_spacing: bool
    sequences: tuple[str, ...]


@dataclass(frozen=True)
class KaggleSource:
    """A patient of Kaggle's layout, to be written as a study when its turn comes. change: of changes.CHANGES."""

    folder: Path
    change: str | None = None

    @property
    def name(self) -> str:
        """The patient."""
        return self.folder.name

    @contextmanager
    def open(self) -> Iterator[EvaluationStudy]:
        """Writes FLAIR, T1 and T1c as NIfTI, 0.9 x 0.9 x 5.5 mm in LPS order, for as long as the block runs.

        A missing sequence is FLAIR again in this data set, and is written as it is.
        """
        images = _images_of(self.folder)
        if self.change is not None:
            images = CHANGES[self.change](images)
        geometry = Geometry.of_image(images.sequences["flair"])
        mask = AxialOrder.of(geometry).to_axial(sitk.GetArrayFromImage(images.reference) > 0)
        with TemporaryDirectory() as folder:
            paths = {}
            for name, image in images.sequences.items():
                paths[name] = Path(folder, f"{name}{_SUFFIX}")
                sitk.WriteImage(image, str(paths[name]))
            study = StudyPaths(paths["flair"], paths.get("t1"), paths.get("t1c"))
            yield EvaluationStudy(self.name, study, mask, geometry, False, _distinct(images.sequences))


def _distinct(sequences: Mapping[str, sitk.Image]) -> tuple[str, ...]:
    """FLAIR, and which others are not a copy of it."""
    flair = sitk.GetArrayViewFromImage(sequences["flair"])
    others = [name for name in sequences if name != "flair"]
    differing = [name for name in others if not np.array_equal(sitk.GetArrayViewFromImage(sequences[name]), flair)]
    return ("flair", *differing)


def _images_of(folder: Path) -> StudyImages:
    patient = read_patient(folder)
    slices, rows, columns = patient.mask.shape
    geometry = Geometry((columns, rows, slices), NOMINAL_SPACING_MM, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    sequences = {
        name: Volume(np.ascontiguousarray(array), geometry).to_image()
        for name, array in zip(SEQUENCES, patient.sequences, strict=True)
    }
    return StudyImages(sequences, Volume(patient.mask, geometry).to_image())


@dataclass(frozen=True)
class FileSource:
    """A study that lies ready: its files, and its reference on FLAIR's grid (tumour: labels over 0)."""

    name: str
    paths: StudyPaths
    reference: Path

    @contextmanager
    def open(self) -> Iterator[EvaluationStudy]:
        """Raises InputError if the reference does not lie on FLAIR's grid."""
        flair = Geometry.of_image(sitk.ReadImage(str(self.paths.flair)))
        reference = Volume.of_image(sitk.ReadImage(str(self.reference)))
        if not reference.geometry.is_close_to(flair, 1e-3):
            raise InputError(f"{self.reference} does not lie on FLAIR's grid.", "Resample the reference to it.")
        mask = AxialOrder.of(flair).to_axial(np.asarray(reference.array) > 0)
        given = {"flair": self.paths.flair, "t1": self.paths.t1, "t1c": self.paths.t1c}
        present = tuple(name for name, path in given.items() if path is not None)
        yield EvaluationStudy(self.name, self.paths, mask, flair, True, present)


EvaluationSource = KaggleSource | FileSource


def folder_sources(root: Path) -> list[FileSource]:
    """Every folder in ``root`` that holds flair.nii.gz and seg.nii.gz (and t1.nii.gz, t1c.nii.gz where there are).

    Raises InputError if there is none.
    """
    folders = sorted(root.iterdir()) if root.is_dir() else []
    found = [_folder_source(one) for one in folders if all((one / f"{n}{_SUFFIX}").exists() for n in ("flair", "seg"))]
    if not found:
        raise InputError(
            f"No study was found in {root}.",
            "Give a folder with one folder per patient that holds flair.nii.gz and seg.nii.gz (t1, t1c if there are).",
        )
    return found


def data_sources(data: Path, change: str | None = None) -> dict[str, EvaluationSource]:
    """The patients of training data (see data.sources) by name, to be evaluated on.

    Raises InputError for a change of studies that are not written here but lie ready, and as training_sources does.
    """
    sources: dict[str, EvaluationSource] = {}
    for patient in training_sources(data):
        if isinstance(patient, KagglePatient):
            sources[patient.name] = KaggleSource(patient.folder, change)
        elif change is None:
            sources[patient.name] = FileSource(patient.name, patient.paths, patient.mask)
        else:
            raise InputError("Studies of your own can't be changed.", "Use --change with Kaggle's folder alone.")
    return sources


def _folder_source(folder: Path) -> FileSource:
    t1, t1c = (path if path.exists() else None for path in (folder / f"t1{_SUFFIX}", folder / f"t1c{_SUFFIX}"))
    return FileSource(folder.name, StudyPaths(folder / f"flair{_SUFFIX}", t1, t1c), folder / f"seg{_SUFFIX}")
