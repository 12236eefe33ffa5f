"""Segments as arrays and arrays as segments, wherever the nodes lie under transforms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.scene.volumeGeometry import Matrix, ijkToLocalOf

Mask = npt.NDArray[np.bool_]


def writeMask(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    segmentId: str,
    mask: Mask,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    """Replace a segment's voxels by a mask [K, J, I] on a volume's grid; other segments stay as they are."""
    labelmap = _labelmapOf(mask, ijkToLocalOf(segmentationNode, volumeNode))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(labelmap, segmentationNode, segmentId, logic.MODE_REPLACE):
        raise BrainTumorSegError(
            "Slicer did not take the mask into the segmentation.", "Choose a new segmentation as output."
        )


def maskOnVolume(
    segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str, volumeNode: slicer.vtkMRMLScalarVolumeNode
) -> Mask:
    """A segment as bool [K, J, I] on a volume's grid (nearest neighbour), copied."""
    labelmap = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap)
    shape = volumeNode.GetImageData().GetDimensions()[::-1]
    if labelmap.IsEmpty():
        return np.zeros(shape, bool)
    grid = _labelmapOf(np.zeros(shape, bool), ijkToLocalOf(segmentationNode, volumeNode))
    onGrid = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    if not resample(labelmap, grid, onGrid, False):
        raise BrainTumorSegError("The segment can't be resampled to the volume.", "Choose another volume.")
    return vtk_to_numpy(onGrid.GetPointData().GetScalars()).reshape(shape) != 0


def _labelmapOf(mask: Mask, matrix: Matrix) -> slicer.vtkOrientedImageData:
    """0 and 1 as uint8 voxels, which own their memory."""
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(mask.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True))
    labelmap.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return labelmap
