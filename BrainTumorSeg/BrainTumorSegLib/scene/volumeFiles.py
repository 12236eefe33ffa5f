"""Voxels as NRRD files for the engine, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from BrainTumorSegLib.engine.errors import OutputError
from BrainTumorSegLib.scene.volumeGeometry import Matrix, setIjkToLocal


def writeVolume(image: vtk.vtkImageData, ijkToRas: Matrix, path: Path) -> None:
    """Write an image, which is shared and not copied, as uncompressed NRRD. Raises OutputError."""
    standIn = slicer.vtkMRMLScalarVolumeNode()  # outside the scene, where nobody sees it
    standIn.SetAndObserveImageData(image)
    setIjkToLocal(standIn, ijkToRas)
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(False)
    if not path.parent.is_dir() or not storage.WriteData(standIn):
        raise OutputError(
            f"The volume can't be written for the engine to {path.parent}.",
            "Free space on that disk, or choose another temporary folder in Slicer's application settings.",
        )


def writeVoxels(voxels: npt.NDArray[np.generic], ijkToRas: Matrix, path: Path) -> None:
    """Write numbers [K, J, I]. Raises OutputError."""
    image = vtk.vtkImageData()
    image.SetDimensions(voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels).ravel(), deep=True))
    writeVolume(image, ijkToRas, path)
