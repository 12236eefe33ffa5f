"""Where a volume node's voxels lie: 4 x 4 float64 matrices from (i, j, k, 1) to RAS millimetres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from BrainTumorSegLib.engine.errors import InputError

Matrix = npt.NDArray[np.float64]

# Cosine of the angle between two voxel axes above which a grid counts as sheared (0.06 degrees); rounding in DICOM
# and NIfTI headers stays far below.
SHEAR_TOLERANCE = 1e-3


def ijkToLocal(volumeNode: slicer.vtkMRMLVolumeNode) -> Matrix:
    """From voxels to the node's own coordinates, before any parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix), dtype=np.float64)


def isBent(node: slicer.vtkMRMLTransformableNode) -> bool:
    """Whether a node lies under a non-linear transform: no matrix says where its voxels are."""
    transformNode = node.GetParentTransformNode()
    return transformNode is not None and not transformNode.IsTransformToWorldLinear()


def localToWorld(node: slicer.vtkMRMLTransformableNode) -> Matrix:
    """From a node's own coordinates to the world's; the identity without a parent transform.

    Raises InputError if a parent transform is not linear, for then no matrix describes it.
    """
    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    if isBent(node):
        kind = "segmentation" if node.IsA("vtkMRMLSegmentationNode") else "volume"
        raise InputError(
            f"The {kind} lies under a non-linear transform, which bends its voxel grid.",
            f"Harden the transform: in the Data module right-click the {kind}, then 'Harden transform'.",
        )
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix), dtype=np.float64)


def ijkToWorld(volumeNode: slicer.vtkMRMLVolumeNode) -> Matrix:
    """From voxels to world coordinates. Raises InputError under a non-linear transform."""
    return localToWorld(volumeNode) @ ijkToLocal(volumeNode)


def ijkToLocalOf(node: slicer.vtkMRMLTransformableNode, volumeNode: slicer.vtkMRMLVolumeNode) -> Matrix:
    """From ``volumeNode``'s voxels to the own coordinates of another node, so that both meet in the world."""
    if node.GetParentTransformNode() is volumeNode.GetParentTransformNode():
        return ijkToLocal(volumeNode)
    return np.linalg.inv(localToWorld(node)) @ ijkToWorld(volumeNode)


def isSheared(ijkToRas: Matrix) -> bool:
    """Whether the voxel axes are not perpendicular to each other."""
    axes = ijkToRas[:3, :3] / np.linalg.norm(ijkToRas[:3, :3], axis=0)
    cosines = axes.T @ axes - np.eye(3)
    return bool(np.abs(cosines).max() > SHEAR_TOLERANCE)


def setIjkToLocal(volumeNode: slicer.vtkMRMLVolumeNode, matrix: Matrix) -> None:
    """Place a volume node's voxels by a matrix to its own coordinates."""
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def largestDistance(first: Matrix, second: Matrix, sizeIjk: tuple[int, int, int]) -> float:
    """Largest distance in mm between where two matrices put the corners of a grid of that size."""
    corners = np.array([[i, j, k, 1.0] for i in (0, sizeIjk[0]) for j in (0, sizeIjk[1]) for k in (0, sizeIjk[2])]).T
    return float(np.linalg.norm(((first - second) @ corners)[:3], axis=0).max())
