"""The DICOM files from which a volume was loaded, by Slicer's DICOM database."""

from __future__ import annotations

from pathlib import Path

import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.subjectHierarchy import instanceUids

_OTHERWISE = "Export the segmentation as .seg.nrrd, or load the study from DICOM and segment it again."


def dicomFilesOf(volumeNode: slicer.vtkMRMLScalarVolumeNode | None) -> tuple[Path, ...]:
    """Every file of the volume's series.

    Raises InputError where the volume did not come from DICOM, or its files are not where the database has them.
    """
    uids = instanceUids(volumeNode) if volumeNode is not None else []
    if not uids:
        raise InputError("FLAIR was not loaded from DICOM, so there is no series to refer to.", _OTHERWISE)
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise InputError(
            "Slicer's DICOM database is not open, which knows FLAIR's files.", "Open the DICOM module once."
        )
    files = [Path(text) for uid in uids if (text := str(database.fileForInstance(uid) or ""))]
    there = tuple(path for path in files if path.is_file())
    if len(there) < len(uids):
        raise InputError(
            f"{len(uids) - len(there)} of {len(uids)} DICOM files of FLAIR are not where Slicer's database has them.",
            "Import the study into the DICOM module again.",
        )
    return there
