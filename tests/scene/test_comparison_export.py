"""What is compared lies in its files where the scene shows it, whatever its grid and transform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.comparisonExport import comparedSegmentIds, writeOutline
from BrainTumorSegLib.scene.segmentVoxels import writeMask
from BrainTumorSegLib.scene.volumeGeometry import ijkToWorld
from scene.phantomScene import GRIDS, TRANSFORMS, addTransform, addVolume

RIGID = ("no transform", "rigid transform", "enlarging transform")


def outlined(volume: Any, mask: np.ndarray) -> Any:
    node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", "reader")
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateDefaultDisplayNodes()
    writeMask(node, node.GetSegmentation().AddEmptySegment(), mask, volume)
    return node


def marked_ras(path: Path) -> np.ndarray:
    """World places [N, 3] of a file's marked voxels by SimpleITK, sorted."""
    image = sitk.ReadImage(str(path))
    kji = np.argwhere(sitk.GetArrayFromImage(image) != 0)
    places = [image.TransformIndexToPhysicalPoint(index) for index in kji[:, ::-1].tolist()]
    return sorted_rows(np.array(places) * [-1, -1, 1])


def sorted_rows(places: np.ndarray) -> np.ndarray:
    return places[np.lexsort(np.round(places, 2).T)]


@pytest.mark.parametrize("transform", RIGID)
@pytest.mark.parametrize("grid", GRIDS)
def test_marked_voxels_are_where_the_scene_shows_them(scene: Any, tmp_path: Path, grid: str, transform: str) -> None:
    volume = addVolume(scene, "FLAIR", GRIDS[grid], addTransform(scene, TRANSFORMS[transform]))
    mask = slicer.util.arrayFromVolume(volume) > 50
    files = writeOutline(outlined(volume, mask), tmp_path)
    kji = np.argwhere(mask)
    expected = (np.column_stack([kji[:, ::-1], np.ones(len(kji))]) @ ijkToWorld(volume).T)[:, :3]
    np.testing.assert_allclose(marked_ras(files.labelmap), sorted_rows(expected), atol=0.02)
    assert files.image is not None
    image, labelmap = (sitk.ReadImage(str(path)) for path in (files.image, files.labelmap))
    assert image.GetSize() == labelmap.GetSize(), "the whole field of view is compared"


def test_overlapping_segments_count_once_and_hidden_ones_not(scene: Any, tmp_path: Path) -> None:
    volume = addVolume(scene, "FLAIR")
    mask = np.zeros((18, 24, 26), bool)
    mask[2:4, 3:8, 5:9] = True
    node = outlined(volume, mask)
    second, third = (node.GetSegmentation().AddEmptySegment() for _ in range(2))
    wider = np.roll(mask, 2, axis=2)
    writeMask(node, second, wider, volume)
    writeMask(node, third, np.ones_like(mask), volume)
    node.GetDisplayNode().SetSegmentVisibility(third, False)
    assert len(comparedSegmentIds(node)) == 2
    assert len(marked_ras(writeOutline(node, tmp_path).labelmap)) == np.count_nonzero(mask | wider)


def test_nothing_shown_is_refused(scene: Any, tmp_path: Path) -> None:
    node = outlined(addVolume(scene, "FLAIR"), np.ones((18, 24, 26), bool))
    node.GetDisplayNode().SetSegmentVisibility(comparedSegmentIds(node)[0], False)
    with pytest.raises(InputError, match="'reader' shows no segment.*Show the one"):
        writeOutline(node, tmp_path)


def test_without_its_image_there_is_the_labelmap_alone(scene: Any, tmp_path: Path) -> None:
    volume = addVolume(scene, "FLAIR")
    node = outlined(volume, slicer.util.arrayFromVolume(volume) > 50)
    scene.RemoveNode(volume)
    files = writeOutline(node, tmp_path)
    assert files.image is None
    assert len(marked_ras(files.labelmap)) > 0
