"""After a correction the tables say what is there now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.ownNodes import LESIONS, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.remeasure import remeasure
from BrainTumorSegLib.scene.resultImport import importResult, readResult
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from BrainTumorSegLib.scene.undo import SegmentationUndo
from scene.phantomScene import AXIAL, TRANSFORMS, addTransform, addVolume, exportFlair, reportOf, writeBall


@pytest.fixture
def result(scene: Any, tmp_path: Path) -> Any:
    flair = addVolume(scene, "FLAIR", AXIAL, addTransform(scene, TRANSFORMS["enlarging transform"]))
    study = exportFlair(flair, tmp_path)
    return importResult(
        readResult(writeBall(study, tmp_path), study), reportOf(), study, flair, None, SegmentationUndo()
    )


def flairOf(node: Any) -> Any:
    return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def test_second_piece_drawn_by_hand_becomes_a_lesion_in_world_size(result: Any) -> None:
    node = result.segmentationNode
    mask = maskOnVolume(node, result.segmentId, flairOf(node))
    ball = int(mask.sum())
    mask[0, 0:2, 0:3] = True
    writeMask(node, result.segmentId, mask, flairOf(node))
    voxel_ml = 1.5 * 1.5 * 3.0 * 1.3**3 / 1000
    assert remeasure(node) == pytest.approx((ball + 6) * voxel_ml)
    table = partOf(node, LESIONS).GetTable()
    assert partOf(node, LESIONS).GetNumberOfRows() == 2
    assert table.GetValueByName(0, "volume_ml").ToDouble() == pytest.approx(ball * voxel_ml)
    assert table.GetValueByName(1, "volume_ml").ToDouble() == pytest.approx(6 * voxel_ml)
    # voxel (1, 0.5, 0) of the grid, enlarged by 1.3
    expected = 1.3 * (AXIAL @ [1, 0.5, 0, 1])[:3]
    centroid = [table.GetValueByName(1, f"centroid_{axis}_mm").ToDouble() for axis in "ras"]
    np.testing.assert_allclose(centroid, expected, atol=1e-6)


def test_slice_areas_follow_the_correction(result: Any) -> None:
    node = result.segmentationNode
    mask = np.zeros_like(maskOnVolume(node, result.segmentId, flairOf(node)))
    mask[1, 4:6, 4:8] = True
    writeMask(node, result.segmentId, mask, flairOf(node))
    remeasure(node)
    table = partOf(node, SLICE_SCORES).GetTable()
    areas = [table.GetValueByName(row, "area_mm2").ToDouble() for row in range(18)]
    assert areas == pytest.approx([0, 8 * (1.5 * 1.3) ** 2, *[0] * 16])


def test_tumour_without_its_flair_is_not_measured(scene: Any, result: Any) -> None:
    scene.RemoveNode(flairOf(result.segmentationNode))
    with pytest.raises(InputError, match=r"can't be measured.*Segment the study again"):
        remeasure(result.segmentationNode)


def test_flair_with_other_slices_by_now_is_not_measured(result: Any) -> None:
    flair = flairOf(result.segmentationNode)
    slicer.util.updateVolumeFromArray(flair, slicer.util.arrayFromVolume(flair)[:12])
    with pytest.raises(InputError, match=r"has 12 slices now, but 18 were segmented.*Segment the study again"):
        remeasure(result.segmentationNode)
