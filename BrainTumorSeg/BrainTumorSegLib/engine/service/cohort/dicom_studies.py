"""The studies of DICOM exports: series grouped by their study's UID over all folders, roles by their headers."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from BrainTumorSegLib.engine.service.cohort.find import DICOM_ENDINGS, Draft, begins_as_dicom, problem_of
from BrainTumorSegLib.engine.study.dicom import DicomVolume, find_volumes
from BrainTumorSegLib.engine.study.frames import DamagedFileError, read_frames
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import is_volume, role_of

DAMAGED = "Its DICOM files can't be read. Copy or export them again."
NO_FLAIR = "No series of it is FLAIR by its header. Name its FLAIR in a list of studies."


@dataclass(frozen=True)
class _Found:
    """A volume in its folder. place: the way from the root. study: its UID, or its folder where it has none."""

    series: DicomVolume
    path: Path
    place: tuple[str, ...]
    role: Role | None
    study: str
    patient: str


def dicom_drafts(root: Path, folders: Sequence[tuple[Path, tuple[str, ...], Role | None]]) -> list[Draft]:
    """The studies in these folders. Each folder comes with the way to its study and the role that its name says.

    A series' header says its role; where it says nothing the folder's name does.
    """
    by_study: dict[str, list[_Found]] = defaultdict(list)
    damaged: list[Draft] = []
    seen: set[Path] = set()
    for folder, place, role in folders:
        found = [each for each in find_volumes(folder) if each.files[0] not in seen]
        seen.update(each.files[0] for each in found)
        if not found and not seen.intersection(folder.iterdir()):
            damaged += _damaged(root, folder, place)
        volumes = [each for each in found if each.modality == "MR" and is_volume(each.tags)]
        for each in volumes:
            one = _found(folder, each, place, role, is_alone=len(volumes) == 1)
            by_study[one.study].append(one)
    return [*damaged, *(_draft(root, study, found) for study, found in by_study.items())]


def _damaged(root: Path, folder: Path, place: tuple[str, ...]) -> list[Draft]:
    """A folder whose files are called DICOM and are none, or damaged; one of reports or drawings is passed over."""
    if not any(map(_is_damaged, folder.iterdir())):
        return []
    return [Draft("/".join(place) or root.resolve().name, str(folder), {}, DAMAGED)]


def _is_damaged(path: Path) -> bool:
    if not begins_as_dicom(path):
        return path.suffix.lower() in DICOM_ENDINGS
    try:
        read_frames(path)
    except DamagedFileError:
        return True
    return False


def _found(folder: Path, series: DicomVolume, place: tuple[str, ...], role: Role | None, is_alone: bool) -> _Found:
    path = folder if is_alone else series.files[0]
    study = series.study_uid or str(folder)
    return _Found(series, path, place, role_of(series.tags) or role, study, series.patient_id)


def _draft(root: Path, study: str, found: list[_Found]) -> Draft:
    common = os.path.commonpath([Path("/", *each.place) for each in found]).strip("/\\").replace("\\", "/")
    candidates: dict[Role, tuple[Path, ...]] = {}
    for each in sorted(found, key=lambda one: str(one.path)):
        if each.role is not None:
            candidates[each.role] = (*candidates.get(each.role, ()), each.path)
    problem = problem_of(candidates, NO_FLAIR)
    if len({each.patient for each in found}) > 1:
        problem = "Its series are of different patients by their headers. Part them."
    elif problem and Role.FLAIR in candidates:
        doubled = ", ".join(
            f"{each.role.label} ({each.series.description})"
            for each in found
            if each.role and len(candidates[each.role]) > 1
        )
        problem = f"Several series fit one role: {doubled}. Leave one of each in a list of studies."
    return Draft(common or root.resolve().name, study, candidates, problem)
