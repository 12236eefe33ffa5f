"""A segmentation as it is, whoever drew it, as files to be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from BrainTumorSegLib.engine.errors import BrainTumorSegError, InputError
from BrainTumorSegLib.scene.provenance import tumourSegmentIds
from BrainTumorSegLib.scene.volumeFiles import writeVolume
from BrainTumorSegLib.scene.volumeGeometry import Matrix, ijkToWorld, localToWorld


@dataclass(frozen=True)
class OutlineFiles:
    """labelmap: on the segmentation's own voxels. image: what it was outlined on; None where that is not known."""

    labelmap: Path
    image: Path | None


def comparedSegmentIds(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[str, ...]:
    """The tumour of a result of this module; of another segmentation every segment that is shown."""
    ids = tumourSegmentIds(segmentationNode)
    if ids:
        return ids
    segmentation, display = segmentationNode.GetSegmentation(), segmentationNode.GetDisplayNode()
    every = (segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments()))
    return tuple(each for each in every if display is None or display.GetSegmentVisibility(each))


def writeOutline(segmentationNode: slicer.vtkMRMLSegmentationNode, folder: Path) -> OutlineFiles:
    """Write a segmentation and its image, both where they lie in the world, into an existing folder.

    Raises InputError where nothing is shown or a non-linear transform lies above, OutputError if it can't be written.
    """
    ids = comparedSegmentIds(segmentationNode)
    if not ids:
        raise InputError(
            f"The segmentation '{segmentationNode.GetName()}' shows no segment.", "Show the one to compare, or another."
        )
    labelmap = _merged(segmentationNode, ids)
    matrix = localToWorld(segmentationNode) @ _ijkToLocal(labelmap)
    writeVolume(_withoutPlace(labelmap), matrix, folder / "labelmap.nrrd")
    imageNode = imageOf(segmentationNode)
    if imageNode is None:
        return OutlineFiles(folder / "labelmap.nrrd", None)
    writeVolume(imageNode.GetImageData(), ijkToWorld(imageNode), folder / "image.nrrd")
    return OutlineFiles(folder / "labelmap.nrrd", folder / "image.nrrd")


def imageOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Any:
    """The scalar volume that a segmentation was outlined on; None where it is not in the scene."""
    node = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    isImage = node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetImageData() is not None
    return node if isImage else None


def _merged(segmentationNode: slicer.vtkMRMLSegmentationNode, ids: tuple[str, ...]) -> slicer.vtkOrientedImageData:
    """The segments in one labelmap that covers them and the image that they were drawn on."""
    names = vtk.vtkStringArray()
    for each in ids:
        names.InsertNextValue(each)
    merged = slicer.vtkOrientedImageData()
    extent = slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS_AND_REFERENCE_GEOMETRY
    if not segmentationNode.GenerateMergedLabelmapForAllSegments(merged, extent, None, names):
        raise BrainTumorSegError(
            f"The segments of '{segmentationNode.GetName()}' can't be put into one labelmap.",
            "Save that segmentation and load it again.",
        )
    return merged


def _ijkToLocal(labelmap: slicer.vtkOrientedImageData) -> Matrix:
    """From the labelmap's voxels, counted from its first one, to its segmentation's coordinates."""
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    first = np.eye(4)
    first[:3, 3] = labelmap.GetExtent()[::2]
    return np.array(slicer.util.arrayFromVTKMatrix(matrix), dtype=np.float64) @ first


def _withoutPlace(labelmap: slicer.vtkOrientedImageData) -> vtk.vtkImageData:
    """Its voxels alone, as a volume node has them."""
    image = vtk.vtkImageData()
    image.SetDimensions(labelmap.GetDimensions())
    image.GetPointData().SetScalars(labelmap.GetPointData().GetScalars())
    return image
