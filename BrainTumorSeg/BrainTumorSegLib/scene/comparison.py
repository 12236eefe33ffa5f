"""How far two segments agree: what a correction changed, or how a second reader sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume
from BrainTumorSegLib.scene.volumeGeometry import ijkToWorld


@dataclass(frozen=True)
class Comparison:
    """Two segments on one grid. dice: 2 |A and B| / (|A| + |B|), 1 where both are empty. Volumes in mL, world scale."""

    dice: float
    firstVolume_ml: float
    secondVolume_ml: float
    onlyFirst_ml: float
    onlySecond_ml: float


def compareSegments(
    firstNode: slicer.vtkMRMLSegmentationNode,
    firstSegmentId: str,
    secondNode: slicer.vtkMRMLSegmentationNode,
    secondSegmentId: str,
    referenceNode: slicer.vtkMRMLScalarVolumeNode,
) -> Comparison:
    """Compare two segments on a reference volume's grid, wherever their nodes lie under transforms."""
    first = maskOnVolume(firstNode, firstSegmentId, referenceNode)
    second = maskOnVolume(secondNode, secondSegmentId, referenceNode)
    voxel_ml = abs(float(np.linalg.det(ijkToWorld(referenceNode)[:3, :3]))) / 1000.0
    total = int(first.sum()) + int(second.sum())
    both = int((first & second).sum())
    return Comparison(
        dice=2.0 * both / total if total else 1.0,
        firstVolume_ml=int(first.sum()) * voxel_ml,
        secondVolume_ml=int(second.sum()) * voxel_ml,
        onlyFirst_ml=(int(first.sum()) - both) * voxel_ml,
        onlySecond_ml=(int(second.sum()) - both) * voxel_ml,
    )
