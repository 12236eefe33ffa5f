"""The engine's image files into memory, checked against the grid of the study that was exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import slicer

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.scene.studyExport import ExportedVolume
from BrainTumorSegLib.scene.volumeGeometry import ijkToLocal, largestDistance

# A twentieth of the finest voxel in use (0.2 mm); text in headers rounds far less.
_GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class ResultImage:
    """Voxels [K, J, I] of a file and the key-value fields of its header."""

    voxels: npt.NDArray[np.generic]
    fields: Mapping[str, str]


def readOnGrid(path: Path, grid: ExportedVolume) -> ResultImage:
    """An NRRD file that lies on ``grid``.

    Raises BrainTumorSegError if it can't be read or lies elsewhere, which would put a tumour in the wrong place.
    """
    node = slicer.vtkMRMLScalarVolumeNode()
    # Not the archetype storage node: it turns left-handed grids over, and then the voxels are in another order.
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    storage.SetCenterImage(False)
    if not path.is_file() or not storage.ReadData(node) or node.GetImageData() is None:
        raise BrainTumorSegError(
            f"The engine's result '{path.name}' is missing or can't be read.",
            "Segment again; if it happens again, report it with 'Copy diagnostics'.",
        )
    size = node.GetImageData().GetDimensions()
    if size != grid.sizeIjk or largestDistance(ijkToLocal(node), grid.ijkToWorld, size) > _GRID_TOLERANCE_MM:
        raise BrainTumorSegError(
            f"The engine's result '{path.name}' ({_text(size)} voxels) does not lie on FLAIR's grid "
            f"({_text(grid.sizeIjk)} voxels).",
            "This is a defect; please report it with 'Copy diagnostics'. Nothing was changed in the scene.",
        )
    fields = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
    return ResultImage(np.array(slicer.util.arrayFromVolume(node)), fields)


def _text(size: tuple[int, int, int]) -> str:
    return " x ".join(str(side) for side in size)
