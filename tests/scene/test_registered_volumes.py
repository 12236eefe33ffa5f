"""Where registration moved T1, a copy shows it there; the original stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

from BrainTumorSegLib.scene.ownNodes import REGISTERED, partOf
from BrainTumorSegLib.scene.registeredVolumes import showRegistered
from BrainTumorSegLib.scene.studyExport import exportStudy
from BrainTumorSegLib.scene.volumeGeometry import ijkToWorld
from scene.phantomScene import (
    AXIAL,
    BALL_CENTRE_RAS,
    GRIDS,
    TRANSFORMS,
    addTransform,
    addVolume,
    reportOf,
    rotation,
    translation,
)

MOTION = translation((14.0, -6.0, 9.0)) @ rotation(2, 11) @ rotation(0, -7)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def reportWith(motion: np.ndarray | None) -> dict[str, Any]:
    """motion: RAS, from where FLAIR shows a point to where T1 does."""
    found = None if motion is None else {"flair_to_sequence_lps": (LPS @ motion @ LPS).ravel().tolist()}
    return {**reportOf(), "motions": {"t1": found, "t1c": None}}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
@pytest.mark.parametrize("t1Grid", GRIDS.values(), ids=GRIDS.keys())
def test_copy_shows_the_ball_where_flair_does_and_the_original_stays(
    scene: Any, tmp_path: Path, t1Grid: np.ndarray, transform: np.ndarray | None
) -> None:
    parent = addTransform(scene, transform)
    flair, t1 = addVolume(scene, "FLAIR", AXIAL, parent), addVolume(scene, "T1", t1Grid)
    before = ijkToWorld(t1)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    study = exportStudy(flair, t1, None, tmp_path)
    showRegistered(reportWith(MOTION), study, flair, segmentation)
    copy = partOf(segmentation, REGISTERED["t1"])
    inT1 = np.linalg.inv(t1Grid) @ [*BALL_CENTRE_RAS, 1.0]
    shown = ijkToWorld(copy) @ inT1
    np.testing.assert_allclose(MOTION @ shown, [*BALL_CENTRE_RAS, 1.0], atol=1e-6)
    np.testing.assert_array_equal(ijkToWorld(t1), before)
    assert copy.GetParentTransformNode() is flair.GetParentTransformNode()
    assert copy.GetImageData() is t1.GetImageData()
    assert copy.GetName() == "T1 on FLAIR"


def test_copy_leaves_with_a_result_that_moved_nothing(scene: Any, tmp_path: Path) -> None:
    flair, t1 = addVolume(scene, "FLAIR"), addVolume(scene, "T1")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    study = exportStudy(flair, t1, None, tmp_path)
    showRegistered(reportWith(MOTION), study, flair, segmentation)
    showRegistered(reportWith(MOTION), study, flair, segmentation)
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 3
    showRegistered(reportWith(None), study, flair, segmentation)
    assert partOf(segmentation, REGISTERED["t1"]) is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
