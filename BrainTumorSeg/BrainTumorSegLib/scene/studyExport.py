"""Volume nodes to files for the engine: what is in the scene, where it is in the world, without changing any node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.scene.subjectHierarchy import seriesUid
from BrainTumorSegLib.scene.volumeFiles import writeVolume, writeVoxels
from BrainTumorSegLib.scene.volumeGeometry import Matrix, ijkToWorld, isSheared

_KINDS = {
    "vtkMRMLLabelMapVolumeNode": "a labelmap (numbers of structures, not an MR image)",
    "vtkMRMLVectorVolumeNode": "a vector or colour volume",
    "vtkMRMLMultiVolumeNode": "a multi-volume (several images in one node)",
    "vtkMRMLDiffusionWeightedVolumeNode": "a diffusion-weighted volume",
    "vtkMRMLDiffusionTensorVolumeNode": "a diffusion tensor volume",
    "vtkMRMLStreamingVolumeNode": "a streamed video",
}


@dataclass(frozen=True)
class ExportedVolume:
    """One sequence as the engine reads it. sizeIjk, ijkToWorld: its grid at the time of the export."""

    path: Path
    nodeId: str
    seriesUid: str
    sizeIjk: tuple[int, int, int]
    ijkToWorld: Matrix


@dataclass(frozen=True)
class ExportedStudy:
    """The files of one study; ``t1`` and ``t1c`` are None where no volume was chosen."""

    flair: ExportedVolume
    t1: ExportedVolume | None
    t1c: ExportedVolume | None

    def inputUids(self) -> dict[str, str]:
        """DICOM series UID by sequence, for the provenance; "" for a volume that did not come from DICOM."""
        volumes = {Role.FLAIR: self.flair, Role.T1: self.t1, Role.T1C: self.t1c}
        return {role.value: volume.seriesUid for role, volume in volumes.items() if volume is not None}


def checkVolume(volumeNode: slicer.vtkMRMLVolumeNode, role: Role) -> None:
    """Raise InputError, with what to do, if the engine can't use this node as that sequence."""
    _checkKind(volumeNode, role)
    _checkContents(volumeNode, role)
    _checkGrid(volumeNode, role)


def exportStudy(
    flairNode: slicer.vtkMRMLScalarVolumeNode,
    t1Node: slicer.vtkMRMLScalarVolumeNode | None,
    t1cNode: slicer.vtkMRMLScalarVolumeNode | None,
    folder: Path,
) -> ExportedStudy:
    """Write the chosen volumes as uncompressed NRRD in world coordinates into an existing folder.

    Linear parent transforms are applied to the grid, never to the voxels. Every node is checked before the first file
    is written, and none is changed. Raises InputError for a node that can't be used, OutputError if a file can't be
    written.
    """
    nodes = {Role.FLAIR: flairNode, Role.T1: t1Node, Role.T1C: t1cNode}
    if flairNode is None:
        raise InputError("No FLAIR volume is chosen.", "Choose the FLAIR volume; it is the only one needed.")
    chosen = {role: node for role, node in nodes.items() if node is not None}
    _checkDistinct(chosen)
    for role, node in chosen.items():
        checkVolume(node, role)
    written = {role: _export(node, folder / f"{role.value}.nrrd") for role, node in chosen.items()}
    return ExportedStudy(written[Role.FLAIR], written.get(Role.T1), written.get(Role.T1C))


def exportVoxels(voxels: npt.NDArray[np.generic], grid: ExportedVolume, path: Path) -> Path:
    """Write voxels [K, J, I] that lie on an exported volume's grid, as that was written. Raises OutputError."""
    writeVoxels(voxels, grid.ijkToWorld, path)
    return path


def _checkDistinct(chosen: dict[Role, slicer.vtkMRMLVolumeNode]) -> None:
    if len({node.GetID() for node in chosen.values()}) < len(chosen):
        titles = " and ".join(role.label for role in chosen)
        raise InputError(
            f"The same volume is chosen more than once among {titles}.",
            "Choose a different volume for each, or leave T1 and T1 with contrast empty.",
        )


def _checkKind(volumeNode: slicer.vtkMRMLVolumeNode, role: Role) -> None:
    className = volumeNode.GetClassName()
    if className != "vtkMRMLScalarVolumeNode":
        kind = _KINDS.get(className, f"a node of type {className}")
        raise InputError(
            f"The volume chosen as {role.label} is {kind}, but a scalar MR volume is needed.",
            f"Choose a scalar volume as {role.label}.",
        )


def _checkContents(volumeNode: slicer.vtkMRMLVolumeNode, role: Role) -> None:
    image = volumeNode.GetImageData()
    if image is None or 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        raise InputError(
            f"The volume chosen as {role.label} has no image data.",
            "Load the volume again; its file may be missing or unreadable.",
        )
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(
            f"The volume chosen as {role.label} has {components} values per voxel, but one is needed.",
            "Choose a volume with one grey value per voxel.",
        )
    low, high = image.GetScalarRange()
    if low == high:
        raise InputError(
            f"Every voxel of the volume chosen as {role.label} has the same value ({low:g}).",
            "Choose another volume; this one shows nothing.",
        )


def _checkGrid(volumeNode: slicer.vtkMRMLVolumeNode, role: Role) -> None:
    matrix = ijkToWorld(volumeNode)
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise InputError(
            f"The voxels of the volume chosen as {role.label} have no extent (spacing or transform is zero).",
            "Correct the spacing in the Volumes module or remove the transform.",
        )
    if isSheared(matrix):
        raise InputError(
            f"The voxel axes of the volume chosen as {role.label} are not perpendicular (the grid is sheared).",
            "Remove the shearing transform, or resample the volume with the Crop Volume module.",
        )


def _export(volumeNode: slicer.vtkMRMLScalarVolumeNode, path: Path) -> ExportedVolume:
    """Write a node of the scene where it is in the world."""
    matrix = ijkToWorld(volumeNode)
    writeVolume(volumeNode.GetImageData(), matrix, path)
    size = volumeNode.GetImageData().GetDimensions()
    return ExportedVolume(path, volumeNode.GetID(), seriesUid(volumeNode), size, matrix)
