"""A DICOM export whose headers, folders and files are full of what identifies a patient, and the search for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import pydicom
import SimpleITK as sitk

from cohorts import write_volume
from dicom_series import write_series

IN_HEADERS = {
    "PatientName": "PLANTED^JANE",
    "PatientID": "PLANTED-ID-4711",
    "PatientBirthDate": "19620304",
    "OtherPatientIDs": "PLANTED-OTHER-ID",
    "PatientAddress": "7 Planted Road",
    "AccessionNumber": "PLANTED-ACC",
    "ReferringPhysicianName": "PLANTED^DOCTOR",
    "InstitutionName": "Planted General Hospital",
    "StudyID": "PLANTED-STUDY",
    "PatientComments": "planted comment",
    "StudyTime": "PLANTED no time",
}
IN_PATHS = "PLANTED_FOLDER"


def write_planted(folder: Path, count: int) -> None:
    """So many studies, the last of which can't be read."""
    source = write_volume(folder / "x.nii")
    image = sitk.Cast(sitk.ReadImage(str(source)), sitk.sitkInt16)
    source.unlink()
    for number in range(count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the headers are meant to be wrong
            paths = write_series(
                folder / f"{IN_PATHS}_{number}" / "FLAIR",
                image,
                edit=_plant,
                SeriesDescription="AX FLAIR",
                StudyInstanceUID=f"1.2.{number}",
            )
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1000])


def _plant(dataset: pydicom.Dataset, _slice: int) -> None:
    for keyword, value in IN_HEADERS.items():
        setattr(dataset, keyword, value)


def files_with(folders: Iterable[Path], words: Iterable[str]) -> list[str]:
    """The files, and what they say of whom: names and contents are searched, whatever the case."""
    wanted = [word.lower() for word in words]
    found = []
    for path in (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()):
        content = str(path).lower().encode() + path.read_bytes().lower()
        found += [f"{path.name}: {word}" for word in wanted if word.encode() in content]
    return found
