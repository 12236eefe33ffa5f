"""Which loaded volumes are FLAIR, T1 and T1 with contrast: by node names and, where they came from it, by DICOM."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import slicer

from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import HINT_TAGS, PROTOCOL_NAME, SERIES_DESCRIPTION, role_of
from BrainTumorSegLib.scene.ownNodes import isOwn
from BrainTumorSegLib.scene.subjectHierarchy import firstInstanceUid, parentItem

# (instance UID, tag as "gggg,eeee") -> text, "" where absent: slicer.dicomDatabase.instanceValue
TagReader = Callable[[str, str], str]


@dataclass(frozen=True)
class InputGuess:
    """The likeliest volume for each sequence; None where none of the volumes speaks for it."""

    flair: slicer.vtkMRMLScalarVolumeNode | None = None
    t1: slicer.vtkMRMLScalarVolumeNode | None = None
    t1c: slicer.vtkMRMLScalarVolumeNode | None = None


def databaseTagReader() -> TagReader | None:
    """The reader of Slicer's DICOM database; None where none is open."""
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        return None
    return lambda uid, tag: str(database.instanceValue(uid, tag))


def guessInputs(volumeNodes: Iterable[slicer.vtkMRMLVolumeNode], tagReader: TagReader | None = None) -> InputGuess:
    """Choose at most one volume for each sequence, T1 and T1c from FLAIR's own study where that has any.

    Of several candidates the one with most voxels wins (reformats and thumbnails are smaller), then the one loaded
    first. Only scalar volumes are looked at, and none that this module made.
    """
    scalars = [node for node in volumeNodes if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not isOwn(node)]
    byRole: dict[Role, list[slicer.vtkMRMLScalarVolumeNode]] = {role: [] for role in Role}
    for node in scalars:
        role = roleOfVolume(node, tagReader)
        if role is not None:
            byRole[role].append(node)
    flair = _best(byRole[Role.FLAIR], None)
    return InputGuess(flair, _best(byRole[Role.T1], flair), _best(byRole[Role.T1C], flair))


def roleOfVolume(volumeNode: slicer.vtkMRMLVolumeNode, tagReader: TagReader | None = None) -> Role | None:
    """The sequence that a volume's name and DICOM header speak for, None if they don't."""
    tags = {SERIES_DESCRIPTION: volumeNode.GetName() or ""}
    uid = firstInstanceUid(volumeNode)
    if uid and tagReader is not None:
        header = {tag: tagReader(uid, tag.replace("|", ",")) for tag in HINT_TAGS}
        tags = {tag: text for tag, text in header.items() if text}
        # Slicer names a volume by number and series description; a user may have renamed it since.
        tags[PROTOCOL_NAME] = f"{tags.get(PROTOCOL_NAME, '')} {volumeNode.GetName() or ''}"
    return role_of(tags)


def _best(
    candidates: list[slicer.vtkMRMLScalarVolumeNode], flair: slicer.vtkMRMLScalarVolumeNode | None
) -> slicer.vtkMRMLScalarVolumeNode | None:
    if flair is not None:
        sameStudy = [node for node in candidates if parentItem(node) == parentItem(flair)]
        candidates = sameStudy or candidates
    return max(candidates, key=_voxelCount, default=None)


def _voxelCount(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> int:
    image = volumeNode.GetImageData()
    return int(image.GetNumberOfPoints()) if image is not None else 0
