"""Which files of a folder make which studies, by folder and file names."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import SERIES_DESCRIPTION, name_without_sequence, role_of

IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class StudyFiles:
    """One study. name: unique in its folder. problem: why it can't be segmented, "" otherwise."""

    name: str
    files: dict[Role, Path]
    problem: str = ""


def find_studies(folder: Path) -> tuple[StudyFiles, ...]:
    """The studies of a folder, by name: each subfolder is one, and files side by side are grouped by their names.

    A sequence is an image file, or a subfolder with one DICOM series; its name says which sequence it is. Raises
    InputError if the folder is missing or holds no study.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Choose a folder with one subfolder for each study.")
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            groups[path.name] = _sequences_in(path)
        elif _is_image(path):
            groups[name_without_sequence(_stem(path)) or folder.name].append(path)
    studies = tuple(_study(name, paths) for name, paths in sorted(groups.items()) if paths)
    if not studies:
        endings = ", ".join(IMAGE_ENDINGS)
        raise InputError(
            f"The folder {folder} holds no study.",
            f"Put one subfolder a study into it, with files ({endings}) or DICOM.",
        )
    return studies


def _sequences_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if _is_image(path) or (path.is_dir() and any(path.iterdir()))]


def _study(name: str, paths: list[Path]) -> StudyFiles:
    found: dict[Role, list[Path]] = defaultdict(list)
    for path in paths:
        role = role_of({SERIES_DESCRIPTION: _stem(path)})
        if role is not None:
            found[role].append(path)
    files = {role: candidates[0] for role, candidates in found.items()}
    doubled = [role.label for role, candidates in found.items() if len(candidates) > 1]
    if Role.FLAIR not in files:
        return StudyFiles(name, files, "No file is called FLAIR. Rename the FLAIR file, for instance to flair.nii.gz.")
    names = {name_without_sequence(_stem(path)) for path in paths if path.is_file()}
    if len(names) > 1:
        listed = ", ".join(sorted(each or "(no name)" for each in names))
        return StudyFiles(
            name, files, f"Its files are of different patients or sessions by their names: {listed}. Part them."
        )
    if doubled:
        return StudyFiles(name, files, f"Several files are called {' and '.join(doubled)}. Leave one of each.")
    return StudyFiles(name, files)


def _is_image(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(IMAGE_ENDINGS)


def _stem(path: Path) -> str:
    name = path.name
    ending = next((each for each in IMAGE_ENDINGS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


SUMMARY_NAME = "summary.csv"


@dataclass(frozen=True)
class StudyRow:
    """What came of one study. status: "done" or "failed". message: what was found, or why it failed and what to do."""

    study: str
    status: str
    volume_ml: str
    lesions: str
    longest_diameter_mm: str
    seconds: str
    segmentation: str
    message: str


def write_rows(path: Path, rows: Iterable[StudyRow]) -> None:
    """Replace the summary in one step. Raises OutputError."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(StudyRow)])
        writer.writeheader()
        writer.writerows(vars(row) for row in rows)


def read_rows(path: Path) -> list[StudyRow]:
    """The rows of an earlier summary; none where there is no such file or it has other columns."""
    if not path.is_file():
        return []
    names = {field.name for field in fields(StudyRow)}
    with path.open(newline="", encoding="utf-8") as stream:
        return [StudyRow(**row) for row in csv.DictReader(stream) if set(row) == names]
