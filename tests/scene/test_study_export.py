"""Volume nodes leave the scene as files that lie where they lie in the world, and stay as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer
import vtk

from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.scene.studyExport import checkVolume, exportStudy
from scene.phantomScene import AXIAL, GRIDS, TRANSFORMS, addTransform, addVolume, exportFlair


def worldPositionsBySimpleItk(path: Path, indices: list[tuple[int, int, int]]) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    return np.array([image.TransformIndexToPhysicalPoint(index) for index in indices]) * [-1, -1, 1]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_file_lies_where_the_volume_lies_in_the_world(scene: Any, tmp_path: Path, grid: str, transform: str) -> None:
    node = addVolume(scene, "FLAIR", GRIDS[grid], addTransform(scene, TRANSFORMS[transform]))
    study = exportFlair(node, tmp_path)
    corners = [(0, 0, 0), (25, 0, 0), (0, 23, 0), (0, 0, 17), (25, 23, 17)]
    toWorld = np.eye(4) if TRANSFORMS[transform] is None else TRANSFORMS[transform]
    expected = [(toWorld @ GRIDS[grid] @ [*corner, 1])[:3] for corner in corners]
    np.testing.assert_allclose(worldPositionsBySimpleItk(study.flair.path, corners), expected, atol=1e-4)
    read = sitk.GetArrayFromImage(sitk.ReadImage(str(study.flair.path)))
    np.testing.assert_array_equal(read, slicer.util.arrayFromVolume(node))


def test_two_transforms_above_each_other_both_count(scene: Any, tmp_path: Path) -> None:
    outer = addTransform(scene, TRANSFORMS["rigid transform"])
    inner = addTransform(scene, np.diag([1.0, 1.0, -1.0, 1.0]))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    study = exportFlair(addVolume(scene, "FLAIR", AXIAL, inner), tmp_path)
    expected = TRANSFORMS["rigid transform"] @ np.diag([1.0, 1.0, -1.0, 1.0]) @ AXIAL @ [3, 4, 5, 1]
    np.testing.assert_allclose(worldPositionsBySimpleItk(study.flair.path, [(3, 4, 5)])[0], expected[:3], atol=1e-4)


def test_nothing_in_the_scene_changes(scene: Any, tmp_path: Path) -> None:
    node = addVolume(scene, "FLAIR", AXIAL, addTransform(scene, TRANSFORMS["rigid transform"]))
    slicer.util.arrayFromVolume(node)[0, 0, 0] = 42
    before = (node.GetMTime(), node.GetImageData().GetMTime(), node.GetDisplayNode().GetMTime())
    count = scene.GetNumberOfNodes()
    exportFlair(node, tmp_path)
    assert (node.GetMTime(), node.GetImageData().GetMTime(), node.GetDisplayNode().GetMTime()) == before
    assert scene.GetNumberOfNodes() == count
    assert node.GetStorageNode() is None


def test_each_sequence_has_its_own_file_and_series(scene: Any, tmp_path: Path) -> None:
    flair, t1c = addVolume(scene, "FLAIR"), addVolume(scene, "T1c", GRIDS["sagittal"])
    hierarchy = scene.GetSubjectHierarchyNode()
    hierarchy.SetItemUID(hierarchy.CreateItem(hierarchy.GetSceneItemID(), flair), "DICOM", "1.2.840.1")
    study = exportStudy(flair, None, t1c, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flair.nrrd", "t1c.nrrd"]
    assert study.t1 is None
    assert study.inputUids() == {"flair": "1.2.840.1", "t1c": ""}


def bendingTransform(scene: Any) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Warp")
    plate = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        source.InsertNextPoint(*(40.0 * np.array(corner)))
        target.InsertNextPoint(*(40.0 * np.array(corner) + (5.0 if all(corner) else 0.0)))
    plate.SetSourceLandmarks(source)
    plate.SetTargetLandmarks(target)
    plate.SetBasisToR()
    node.SetAndObserveTransformToParent(plate)
    return node


def test_non_linear_transform_is_refused_with_what_to_do(scene: Any, tmp_path: Path) -> None:
    node = addVolume(scene, "FLAIR", AXIAL, bendingTransform(scene))
    with pytest.raises(InputError, match=r"non-linear transform.*Harden the transform"):
        exportFlair(node, tmp_path)
    assert not list(tmp_path.iterdir())


def test_shearing_transform_is_refused_with_what_to_do(scene: Any, tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    node = addVolume(scene, "FLAIR", AXIAL, addTransform(scene, sheared))
    with pytest.raises(InputError, match=r"not perpendicular.*Crop Volume"):
        exportFlair(node, tmp_path)


def test_flattening_transform_is_refused(scene: Any, tmp_path: Path) -> None:
    node = addVolume(scene, "FLAIR", AXIAL, addTransform(scene, np.diag([1.0, 1.0, 0.0, 1.0])))
    with pytest.raises(InputError, match=r"no extent.*Volumes module"):
        exportFlair(node, tmp_path)


@pytest.mark.parametrize(
    ("className", "kind"),
    [
        ("vtkMRMLLabelMapVolumeNode", "labelmap"),
        ("vtkMRMLVectorVolumeNode", "vector or colour"),
        ("vtkMRMLDiffusionWeightedVolumeNode", "diffusion-weighted"),
        ("vtkMRMLStreamingVolumeNode", "streamed video"),
    ],
)
def test_other_kinds_of_volume_are_refused_by_name(scene: Any, className: str, kind: str) -> None:
    node = scene.AddNewNodeByClass(className, "Other")
    with pytest.raises(InputError, match=rf"chosen as T1 is a {kind}.*Choose a scalar volume as T1"):
        checkVolume(node, Role.T1)


def test_volume_without_image_is_refused(scene: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Lost")
    with pytest.raises(InputError, match=r"chosen as FLAIR has no image data.*Load the volume again"):
        checkVolume(node, Role.FLAIR)


def test_uniform_volume_is_refused(scene: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Blank")
    slicer.util.updateVolumeFromArray(node, np.full((4, 5, 6), 7, np.int16))
    with pytest.raises(InputError, match=r"has the same value \(7\).*Choose another"):
        checkVolume(node, Role.FLAIR)


def test_same_volume_twice_is_refused(scene: Any, tmp_path: Path) -> None:
    node = addVolume(scene, "FLAIR")
    with pytest.raises(InputError, match=r"same volume is chosen more than once among FLAIR and T1.*different volume"):
        exportStudy(node, node, None, tmp_path)


def test_missing_flair_is_refused(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No FLAIR volume is chosen.*Choose the FLAIR"):
        exportStudy(None, addVolume(scene, "T1"), None, tmp_path)


def test_no_file_is_written_if_one_volume_is_unusable(scene: Any, tmp_path: Path) -> None:
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Lost")
    with pytest.raises(InputError, match=r"chosen as T1 with contrast has no image data.*Load"):
        exportStudy(addVolume(scene, "FLAIR"), None, empty, tmp_path)
    assert not list(tmp_path.iterdir())


def test_folder_that_is_gone_is_told(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"can't be written for the engine.*Free space"):
        exportFlair(addVolume(scene, "FLAIR"), tmp_path / "gone")
