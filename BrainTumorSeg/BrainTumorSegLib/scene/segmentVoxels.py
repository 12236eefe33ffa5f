"""Segments as arrays and arrays as segments, wherever the nodes lie under transforms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.scene.volumeGeometry import Matrix, ijkToLocalOf

Mask = npt.NDArray[np.bool_]

# Of the entries of two matrices to millimetres: decimal text in files rounds more than arithmetic does.
_SAME_GRID_MM = 1e-6


def writeMask(
    segmentationNode: slicer.vtkMRMLSegmentationNode,
    segmentId: str,
    mask: Mask,
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    startKji: tuple[int, int, int] = (0, 0, 0),
) -> None:
    """Replace a segment's voxels by a mask [K, J, I] on a volume's grid; other segments stay as they are.

    startKji: the voxel of the grid at which the mask begins, where it is a part; there is nothing outside it.
    """
    labelmap = _labelmapOf(mask, ijkToLocalOf(segmentationNode, volumeNode))
    k, j, i = startKji
    depth, rows, columns = mask.shape
    labelmap.SetExtent(i, i + columns - 1, j, j + rows - 1, k, k + depth - 1)
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
    ijkToLocal = ijkToLocalOf(segmentationNode, volumeNode)
    if _isOnGrid(labelmap, ijkToLocal, shape):
        return _placed(labelmap, shape)
    grid = _labelmapOf(np.zeros(shape, bool), ijkToLocal)
    onGrid = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    if not resample(labelmap, grid, onGrid, False):
        raise BrainTumorSegError("The segment can't be resampled to the volume.", "Choose another volume.")
    return vtk_to_numpy(onGrid.GetPointData().GetScalars()).reshape(shape) != 0


def _isOnGrid(labelmap: slicer.vtkOrientedImageData, ijkToLocal: Matrix, shape: tuple[int, int, int]) -> bool:
    """Whether a labelmap's voxels are voxels of a grid of that shape [K, J, I], as after a result or an edit on it."""
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    isInside = all(
        first >= 0 and last < size
        for first, last, size in zip(labelmap.GetExtent()[::2], labelmap.GetExtent()[1::2], shape[::-1], strict=True)
    )
    return isInside and np.allclose(slicer.util.arrayFromVTKMatrix(matrix), ijkToLocal, rtol=0, atol=_SAME_GRID_MM)


def _placed(labelmap: slicer.vtkOrientedImageData, shape: tuple[int, int, int]) -> Mask:
    """A labelmap on the grid, which covers a part of it, as a mask of the whole grid [K, J, I]."""
    mask = np.zeros(shape, bool)
    i, _, j, _, k, _ = labelmap.GetExtent()
    part = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1]) != 0
    mask[k : k + part.shape[0], j : j + part.shape[1], i : i + part.shape[2]] = part
    return mask


def _labelmapOf(mask: Mask, matrix: Matrix) -> slicer.vtkOrientedImageData:
    """0 and 1 as uint8 voxels, which own their memory."""
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(mask.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True))
    labelmap.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return labelmap
