"""The engine's files become a segmentation that lies on the tumour, wherever FLAIR lies, and nobody's work is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer
import vtk

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.errors import BrainTumorSegError, InputError
from BrainTumorSegLib.engine.output.seg_nrrd import TERMINOLOGY, TUMOUR_COLOUR, segment_tags
from BrainTumorSegLib.scene.ownNodes import LESIONS, PROBABILITY, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.probabilityImport import offerProbability
from BrainTumorSegLib.scene.provenance import (
    PROVENANCE_TAGS,
    isEdited,
    markEditedIfChanged,
    ownSegmentIds,
    readProvenance,
    tagOf,
)
from BrainTumorSegLib.scene.resultImport import (
    EditedPolicy,
    ImportedResult,
    ResultFiles,
    hasEditedTumour,
    importResult,
    readResult,
    showSurface,
)
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.volumeGeometry import ijkToWorld
from scene.phantomScene import (
    AXIAL,
    BALL_CENTRE_RAS,
    BALL_RADIUS_MM,
    GRIDS,
    TRANSFORMS,
    addTransform,
    addVolume,
    anyResult,
    exportFlair,
    reportOf,
    rotation,
    writeBall,
)

Segment = Callable[..., ImportedResult]


@pytest.fixture
def undo() -> SegmentationUndo:
    return SegmentationUndo()


@pytest.fixture
def segment(tmp_path: Path, undo: SegmentationUndo) -> Segment:
    """Export, segment by SimpleITK, import: the whole way but for the network."""

    def run(flair: Any, target: Any = None, policy: EditedPolicy = EditedPolicy.KEEP, **options: Any) -> ImportedResult:
        study = exportFlair(flair, tmp_path)
        files = writeBall(study, tmp_path, options.get("threshold", 50))
        if not options.get("probability", False):
            files = ResultFiles(files.segmentation)
        return importResult(
            readResult(files, study), reportOf(options.get("lesions", 1)), study, flair, target, undo, policy
        )

    return run


def worldMatrix(node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def voxelsInWorld(result: ImportedResult) -> np.ndarray:
    """World positions [N, 3] of a segment's voxels, straight from the segment's own image and transform."""
    image = slicer.vtkOrientedImageData()
    result.segmentationNode.GetBinaryLabelmapRepresentation(result.segmentId, image)
    toLocal = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(toLocal)
    voxels = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    kji = np.argwhere(voxels != 0) + np.array(image.GetExtent())[[4, 2, 0]]
    homogeneous = np.column_stack([kji[:, ::-1], np.ones(len(kji))])
    matrix = worldMatrix(result.segmentationNode) @ slicer.util.arrayFromVTKMatrix(toLocal)
    return (homogeneous @ matrix.T)[:, :3]


def paint(result: ImportedResult, flair: Any) -> None:
    """A reader's correction: one slice filled."""
    mask = maskOnVolume(result.segmentationNode, result.segmentId, flair)
    mask[mask.shape[0] // 2] = True
    writeMask(result.segmentationNode, result.segmentId, mask, flair)


def provenanceOf(result: ImportedResult) -> dict[str, str]:
    found = readProvenance(tagsOf(result))
    assert found is not None
    return found


def tagsOf(result: ImportedResult) -> Any:
    return result.segmentationNode.GetSegmentation().GetSegment(result.segmentId)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_segment_lies_on_the_ball_in_the_world(scene: Any, segment: Segment, grid: str, transform: str) -> None:
    transformNode = addTransform(scene, TRANSFORMS[transform])
    flair = addVolume(scene, "FLAIR", GRIDS[grid], transformNode)
    result = segment(flair)
    positions = voxelsInWorld(result)
    centre = (worldMatrix(flair) @ [*BALL_CENTRE_RAS, 1])[:3]
    scale = abs(np.linalg.det(worldMatrix(flair))) ** (1 / 3)
    assert np.linalg.norm(positions - centre, axis=1).max() <= BALL_RADIUS_MM * scale + 1e-3
    assert np.linalg.norm(positions.mean(axis=0) - centre) < 0.5
    np.testing.assert_array_equal(
        maskOnVolume(result.segmentationNode, result.segmentId, flair), slicer.util.arrayFromVolume(flair) > 50
    )


def test_segment_follows_flair_when_the_transform_moves(scene: Any, segment: Segment) -> None:
    transformNode = addTransform(scene, TRANSFORMS["rigid transform"])
    flair = addVolume(scene, "FLAIR", GRIDS["oblique, thick slices"], transformNode)
    result = segment(flair)
    transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rotation(1, 70)))
    centre = (rotation(1, 70) @ [*BALL_CENTRE_RAS, 1])[:3]
    assert np.linalg.norm(voxelsInWorld(result).mean(axis=0) - centre) < 0.5


def test_surface_lies_on_the_ball(scene: Any, segment: Segment) -> None:
    result = segment(addVolume(scene, "FLAIR", GRIDS["isotropic"]))
    showSurface(result)
    surface = vtk.vtkPolyData()
    result.segmentationNode.GetClosedSurfaceRepresentation(result.segmentId, surface)
    points = vtk.util.numpy_support.vtk_to_numpy(surface.GetPoints().GetData())
    distances = np.linalg.norm(points - BALL_CENTRE_RAS, axis=1)
    assert np.abs(distances - BALL_RADIUS_MM).max() < 2.0  # one voxel
    assert np.linalg.norm(points.mean(axis=0) - BALL_CENTRE_RAS) < 0.5


def test_a_result_that_was_removed_gets_no_surface(scene: Any, segment: Segment) -> None:
    result = segment(addVolume(scene, "FLAIR", GRIDS["isotropic"]))
    scene.RemoveNode(result.segmentationNode)
    showSurface(result)
    assert not result.segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface")


def test_segment_is_named_coded_and_coloured_as_in_the_file(scene: Any, segment: Segment) -> None:
    made = tagsOf(segment(addVolume(scene, "FLAIR")))
    assert made.GetName() == "Tumour"
    assert made.GetColor() == pytest.approx(TUMOUR_COLOUR, abs=1e-5)
    assert not made.GetColorAutoGenerated()
    assert tagOf(made, "TerminologyEntry") == TERMINOLOGY


def test_tags_say_model_settings_and_inputs(scene: Any, segment: Segment) -> None:
    provenance = provenanceOf(segment(addVolume(scene, "FLAIR")))
    assert (
        provenance.items()
        >= {
            "DICOM.SegmentAlgorithmType": "AUTOMATIC",
            "BrainTumorSeg.Version": __version__,
            "BrainTumorSeg.Model": "lgg 1.0.0",
            "BrainTumorSeg.ModelSHA256": "ab" * 32,
            "BrainTumorSeg.Classifier": "slices 1.0.0",
            "BrainTumorSeg.Threshold": "0.5",
            "BrainTumorSeg.Gate": "0.05",
            "BrainTumorSeg.MinimumVolume_mL": "0.1",
            "BrainTumorSeg.Device": "cpu",
            "BrainTumorSeg.InputUids": '{"flair":""}',
        }.items()
    )
    assert provenance["DICOM.SegmentAlgorithmName"].startswith(f"BrainTumorSeg {__version__}")


def test_every_tag_of_the_engine_is_kept() -> None:
    assert set(segment_tags(anyResult())) <= {*PROVENANCE_TAGS, "TerminologyEntry"}


def test_reference_volume_is_flair(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    node = segment(flair).segmentationNode
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is flair


def test_result_lies_in_the_study_of_flair(scene: Any, segment: Segment) -> None:
    hierarchy = scene.GetSubjectHierarchyNode()
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "MR brain")
    flair = addVolume(scene, "FLAIR")
    hierarchy.CreateItem(study, flair)
    result = segment(flair, probability=True)
    offerProbability(result.segmentationNode)
    nodes = (result.segmentationNode, result.probabilityNode)
    assert {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes} == {study}
    tables = (result.sliceScoresNode, result.lesionsNode)
    below = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in tables}
    assert below == {hierarchy.GetItemByDataNode(flair)}


def test_two_results_on_one_flair_are_told_apart_by_their_colours(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    colours = []
    for _ in range(3):
        result = segment(flair)
        colours.append(result.segmentationNode.GetSegmentation().GetSegment(result.segmentId).GetColor())
    assert colours[0] == pytest.approx(TUMOUR_COLOUR)
    assert len({tuple(round(part, 2) for part in colour) for colour in colours}) == 3
    again = segment(flair, result.segmentationNode)
    assert again.segmentationNode.GetSegmentation().GetSegment(again.segmentId).GetColor() == pytest.approx(colours[2])


def test_tissue_is_seen_through_a_new_outline_and_a_chosen_look_stays(scene: Any, segment: Segment) -> None:
    flairNode = addVolume(scene, "FLAIR")
    result = segment(flairNode)
    display = result.segmentationNode.GetDisplayNode()
    assert display.GetOpacity2DFill() == pytest.approx(0.2)
    assert display.GetOpacity2DOutline() == pytest.approx(1.0)
    display.SetOpacity2DFill(0.7)
    segment(flairNode, result.segmentationNode)
    assert display.GetOpacity2DFill() == pytest.approx(0.7)


def test_no_tumour_is_a_result_in_words(scene: Any, segment: Segment) -> None:
    result = segment(addVolume(scene, "FLAIR"), threshold=1000, lesions=0)
    assert result.message == "No tumour found in 18 slices; the segmentation is empty."
    assert result.segmentationNode.GetSegmentation().GetNumberOfSegments() == 1
    assert result.lesionsNode.GetNumberOfRows() == 0
    assert not isEdited(result.segmentationNode, result.segmentId)


def test_message_is_the_summary_of_the_report(scene: Any, segment: Segment) -> None:
    message = segment(addVolume(scene, "FLAIR"), lesions=2).message
    assert message == "Tumour found: 2 lesions, 0.0 mL in all, in slices 2 to 3 of 18."


def test_tables_hold_the_report(scene: Any, segment: Segment) -> None:
    result = segment(addVolume(scene, "FLAIR"))
    scores, lesions = result.sliceScoresNode, result.lesionsNode
    assert scores.GetNumberOfRows() == 18
    assert [scores.GetColumnName(column) for column in range(scores.GetNumberOfColumns())] == [
        "index",
        "position_mm",
        "tumour_probability",
        "segmented",
        "area_mm2",
        "mean_uncertainty",
        "doubtful_area_mm2",
        "reaches_edge",
    ]
    assert lesions.GetTable().GetValueByName(0, "volume_ml").ToDouble() == 3.05
    assert lesions.GetTable().GetValueByName(0, "axial_perpendicular_diameter_mm").ToDouble() == 16.0
    assert lesions.GetTable().GetValueByName(0, "centroid_a_mm").ToDouble() == -7.0
    assert lesions.GetTable().GetValueByName(0, "last_slice").ToInt() == 2


def test_probability_lies_on_flair_and_follows_it(scene: Any, segment: Segment) -> None:
    transformNode = addTransform(scene, TRANSFORMS["rigid transform"])
    flair = addVolume(scene, "FLAIR", GRIDS["left-handed"], transformNode)
    node = segment(flair, probability=True).probabilityNode
    assert node.GetParentTransformNode() is transformNode
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(flair) / 100, rtol=1e-6)
    np.testing.assert_allclose(ijkToWorld(node), ijkToWorld(flair), atol=1e-9)
    assert node.GetDisplayNode().GetWindow() == 1.0


def test_second_run_replaces_an_untouched_result_in_its_place(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair, probability=True)
    second = segment(flair, first.segmentationNode, threshold=1000, lesions=0)
    assert second.segmentationNode is first.segmentationNode
    assert second.segmentId == first.segmentId
    assert not maskOnVolume(second.segmentationNode, second.segmentId, flair).any()
    assert second.lesionsNode is first.lesionsNode
    assert partOf(second.segmentationNode, PROBABILITY) is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 2


def test_replaced_result_comes_back_whole_by_undo(scene: Any, segment: Segment, undo: SegmentationUndo) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair, probability=True, lesions=2)
    assert not first.undoable
    assert not undo.isAvailable(first.segmentationNode)
    second = segment(flair, first.segmentationNode, threshold=1000, lesions=0)
    assert second.undoable
    assert undo.isAvailable(first.segmentationNode)
    assert undo.restore(first.segmentationNode)
    np.testing.assert_array_equal(
        maskOnVolume(first.segmentationNode, first.segmentId, flair), slicer.util.arrayFromVolume(flair) > 50
    )
    assert not isEdited(first.segmentationNode, first.segmentId)
    assert partOf(first.segmentationNode, LESIONS).GetNumberOfRows() == 2
    restored = partOf(first.segmentationNode, PROBABILITY)
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(restored), slicer.util.arrayFromVolume(flair) / 100, rtol=1e-6
    )
    assert not undo.restore(first.segmentationNode)


def test_undo_takes_away_a_probability_that_belongs_to_the_other_result(
    scene: Any, segment: Segment, undo: SegmentationUndo
) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair)
    segment(flair, first.segmentationNode, probability=True)
    assert undo.restore(first.segmentationNode)
    assert partOf(first.segmentationNode, PROBABILITY) is None


def test_undo_forgets_with_the_scene(scene: Any, segment: Segment, undo: SegmentationUndo) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair)
    segment(flair, first.segmentationNode)
    undo.forget()
    assert not undo.isAvailable(first.segmentationNode)


def test_edited_segmentation_is_left_alone_and_a_new_node_is_made(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair)
    paint(first, flair)
    painted = maskOnVolume(first.segmentationNode, first.segmentId, flair)
    assert hasEditedTumour(first.segmentationNode)
    second = segment(flair, first.segmentationNode)
    assert second.keptEdited
    assert second.segmentationNode is not first.segmentationNode
    assert second.segmentationNode.GetName() != first.segmentationNode.GetName()
    np.testing.assert_array_equal(maskOnVolume(first.segmentationNode, first.segmentId, flair), painted)


def test_edited_segmentation_is_replaced_only_when_asked_and_comes_back(
    scene: Any, segment: Segment, undo: SegmentationUndo
) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair)
    paint(first, flair)
    painted = maskOnVolume(first.segmentationNode, first.segmentId, flair)
    second = segment(flair, first.segmentationNode, EditedPolicy.REPLACE)
    assert second.segmentationNode is first.segmentationNode
    assert not hasEditedTumour(first.segmentationNode)
    assert undo.restore(first.segmentationNode)
    np.testing.assert_array_equal(maskOnVolume(first.segmentationNode, first.segmentId, flair), painted)


def test_segments_of_the_user_stay_beside_ours(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    own.CreateDefaultDisplayNodes()
    own.SetReferenceImageGeometryParameterFromVolumeNode(flair)
    drawnId = own.GetSegmentation().AddEmptySegment("drawn", "Tumour")
    drawn = np.zeros(slicer.util.arrayFromVolume(flair).shape, bool)
    drawn[2:12, 3:20, 4:20] = True
    writeMask(own, drawnId, drawn, flair)
    result = segment(flair, own)
    assert result.segmentationNode is own
    assert tagsOf(result).GetName() == "Tumour 2"
    np.testing.assert_array_equal(maskOnVolume(own, drawnId, flair), drawn)
    assert ownSegmentIds(own) == (result.segmentId,)


def test_output_under_another_transform_still_lies_on_the_ball(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR", AXIAL, addTransform(scene, TRANSFORMS["rigid transform"]))
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    own.GetSegmentation().AddEmptySegment("other", "Ventricle")
    own.SetAndObserveTransformNodeID(addTransform(scene, rotation(2, 40)).GetID())
    centre = (worldMatrix(flair) @ [*BALL_CENTRE_RAS, 1])[:3]
    assert np.linalg.norm(voxelsInWorld(segment(flair, own)).mean(axis=0) - centre) < 0.5


def test_correction_makes_the_segment_semiautomatic(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    result = segment(flair)
    assert not markEditedIfChanged(result.segmentationNode)
    assert tagOf(tagsOf(result), "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
    paint(result, flair)
    assert markEditedIfChanged(result.segmentationNode)
    assert tagOf(tagsOf(result), "DICOM.SegmentAlgorithmType") == "SEMIAUTOMATIC"


def test_moving_a_segment_by_a_hardened_transform_is_an_edit(scene: Any, segment: Segment) -> None:
    result = segment(addVolume(scene, "FLAIR"))
    result.segmentationNode.SetAndObserveTransformNodeID(
        addTransform(scene, np.array([[1, 0, 0, 5.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])).GetID()
    )
    assert not isEdited(result.segmentationNode, result.segmentId)
    result.segmentationNode.HardenTransform()
    assert isEdited(result.segmentationNode, result.segmentId)


def saved(result: ImportedResult, path: Path) -> ImportedResult:
    """The same result, its segmentation read back from a .seg.nrrd into a new node of the scene."""
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(result.segmentationNode)
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Loaded")
    reader = slicer.vtkMRMLSegmentationStorageNode()
    reader.SetFileName(str(path))
    assert reader.ReadData(loaded)
    return ImportedResult(loaded, result.segmentId, "", False, False, None, None, None)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_saved_seg_nrrd_keeps_voxels_and_tags(scene: Any, segment: Segment, tmp_path: Path, grid: str) -> None:
    flair = addVolume(scene, "FLAIR", GRIDS[grid])
    result = segment(flair)
    loaded = saved(result, tmp_path / "saved.seg.nrrd")
    np.testing.assert_array_equal(
        maskOnVolume(loaded.segmentationNode, loaded.segmentId, flair), slicer.util.arrayFromVolume(flair) > 50
    )
    assert provenanceOf(loaded) == provenanceOf(result)
    assert not isEdited(loaded.segmentationNode, loaded.segmentId)
    paint(loaded, flair)
    assert isEdited(loaded.segmentationNode, loaded.segmentId)


def test_no_tumour_survives_a_saved_seg_nrrd(scene: Any, segment: Segment, tmp_path: Path) -> None:
    result = segment(addVolume(scene, "FLAIR"), threshold=1000, lesions=0)
    loaded = saved(result, tmp_path / "saved.seg.nrrd")
    assert provenanceOf(loaded) == provenanceOf(result)
    assert not isEdited(loaded.segmentationNode, loaded.segmentId)


def test_saved_scene_keeps_everything(scene: Any, segment: Segment, tmp_path: Path) -> None:
    from slicer_core_scene import makeScene

    flair = addVolume(
        scene, "FLAIR", GRIDS["oblique, thick slices"], addTransform(scene, TRANSFORMS["rigid transform"])
    )
    result = segment(flair, probability=True)
    expected, provenance = voxelsInWorld(result), provenanceOf(result)
    assert scene.WriteToMRB(str(tmp_path / "study.mrb"))
    reopened = makeScene()
    assert reopened.ReadFromMRB(str(tmp_path / "study.mrb"), True)
    node = reopened.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    loaded = ImportedResult(node, ownSegmentIds(node)[0], "", False, False, None, None, None)
    np.testing.assert_allclose(voxelsInWorld(loaded), expected, atol=1e-3)
    assert provenanceOf(loaded) == provenance
    assert not isEdited(node, loaded.segmentId)
    assert partOf(node, SLICE_SCORES).GetNumberOfRows() == 18
    assert partOf(node, LESIONS).GetTable().GetValueByName(0, "volume_ml").ToDouble() == 3.05
    assert partOf(node, PROBABILITY).GetImageData().GetScalarRange() == pytest.approx((0.1, 1.0))
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()).GetName() == "FLAIR"


def test_removed_flair_is_told(scene: Any, tmp_path: Path, undo: SegmentationUndo) -> None:
    flair = addVolume(scene, "FLAIR")
    study = exportFlair(flair, tmp_path)
    files = writeBall(study, tmp_path)
    scene.RemoveNode(flair)
    with pytest.raises(InputError, match=r"FLAIR volume was removed.*Load the study again"):
        importResult(readResult(files, study), reportOf(), study, flair, None, undo)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_removed_output_gets_a_new_node(scene: Any, segment: Segment) -> None:
    flair = addVolume(scene, "FLAIR")
    first = segment(flair)
    scene.RemoveNode(first.segmentationNode)
    second = segment(flair, first.segmentationNode)
    assert second.segmentationNode.GetScene() is scene
    assert not second.keptEdited


def test_flair_with_another_size_by_now_is_told(scene: Any, tmp_path: Path, undo: SegmentationUndo) -> None:
    flair = addVolume(scene, "FLAIR")
    study = exportFlair(flair, tmp_path)
    files = writeBall(study, tmp_path)
    slicer.util.updateVolumeFromArray(flair, np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    with pytest.raises(InputError, match=r"from \(26, 24, 18\) to \(5, 4, 3\) voxels.*Segment again"):
        importResult(readResult(files, study), reportOf(), study, flair, None, undo)


def test_file_on_another_grid_never_reaches_the_scene(scene: Any, tmp_path: Path, undo: SegmentationUndo) -> None:
    flair = addVolume(scene, "FLAIR")
    moved = addVolume(scene, "Moved", GRIDS["sagittal"])
    (tmp_path / "moved").mkdir()
    files = writeBall(exportFlair(moved, tmp_path / "moved"), tmp_path)
    count = scene.GetNumberOfNodes()
    with pytest.raises(BrainTumorSegError, match=r"does not lie on FLAIR's grid.*defect"):
        readResult(files, exportFlair(flair, tmp_path))
    assert scene.GetNumberOfNodes() == count


@pytest.mark.parametrize("content", [None, b"NRRD0004\ntype: nonsense\n"], ids=["missing", "damaged"])
def test_unreadable_result_is_told(scene: Any, tmp_path: Path, undo: SegmentationUndo, content: bytes | None) -> None:
    flair = addVolume(scene, "FLAIR")
    path = tmp_path / "tumour.seg.nrrd"
    if content is not None:
        path.write_bytes(content)
    study = exportFlair(flair, tmp_path)
    with pytest.raises(BrainTumorSegError, match=r"'tumour.seg.nrrd' is missing or can't be read.*Segment again"):
        importResult(readResult(ResultFiles(path), study), reportOf(), study, flair, None, undo)


def test_file_without_a_description_is_told(scene: Any, tmp_path: Path, undo: SegmentationUndo) -> None:
    flair = addVolume(scene, "FLAIR")
    study = exportFlair(flair, tmp_path)
    count = scene.GetNumberOfNodes()
    with pytest.raises(BrainTumorSegError, match=r"does not describe its segment: 'Segment0_Color'.*defect"):
        importResult(readResult(ResultFiles(study.flair.path), study), reportOf(), study, flair, None, undo)
    assert scene.GetNumberOfNodes() == count


def test_an_edit_after_undo_is_noticed(scene: Any, segment: Segment, undo: SegmentationUndo) -> None:
    """VTK does not observe segments that were copied into a segmentation; in a real Slicer the table stayed behind."""
    flair = addVolume(scene, "FLAIR")
    first = segment(flair)
    segment(flair, first.segmentationNode)
    assert undo.restore(first.segmentationNode)
    segmentation = first.segmentationNode.GetSegmentation()
    seen: list[str] = []
    segmentation.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, lambda *_: seen.append("edit"))
    edited = segmentation.GetNthSegment(0).GetRepresentation(segmentation.GetSourceRepresentationName())
    edited.Modified()
    assert seen
