"""How far two readers, or a reader and the network, agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

from BrainTumorSegLib.scene.comparison import Comparison, compareSegments
from BrainTumorSegLib.scene.segmentVoxels import writeMask
from scene.phantomScene import AXIAL, addVolume

VOXEL_ML = 1.5 * 1.5 * 3.0 / 1000


def segmentation(scene: Any, flair: Any, mask: np.ndarray) -> tuple[Any, str]:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "S")
    node.SetReferenceImageGeometryParameterFromVolumeNode(flair)
    segmentId = node.GetSegmentation().AddEmptySegment()
    writeMask(node, segmentId, mask, flair)
    return node, segmentId


def box(first: int, last: int) -> np.ndarray:
    mask = np.zeros((18, 24, 26), bool)
    mask[first:last, 2:4, 3:8] = True
    return mask


def test_overlap_and_what_each_has_alone(scene: Any) -> None:
    flair = addVolume(scene, "FLAIR", AXIAL)
    first, second = segmentation(scene, flair, box(0, 4)), segmentation(scene, flair, box(2, 8))
    found = compareSegments(*first, *second, flair)
    assert found.dice == pytest.approx(2 * 20 / (40 + 60))
    assert (found.firstVolume_ml, found.secondVolume_ml) == pytest.approx((40 * VOXEL_ML, 60 * VOXEL_ML))
    assert (found.onlyFirst_ml, found.onlySecond_ml) == pytest.approx((20 * VOXEL_ML, 40 * VOXEL_ML))


def test_two_empty_segments_agree(scene: Any) -> None:
    flair = addVolume(scene, "FLAIR", AXIAL)
    empty = [segmentation(scene, flair, box(0, 0)) for _ in range(2)]
    assert compareSegments(*empty[0], *empty[1], flair) == Comparison(1.0, 0.0, 0.0, 0.0, 0.0)
