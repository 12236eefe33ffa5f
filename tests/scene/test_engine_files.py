"""The engine's real reading, measuring and writing between export and import, with a threshold for the network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer

from BrainTumorSegLib.engine.measurement.lesions import find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.result import Result, SliceScore
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.output.seg_nrrd import SEGMENT_NAME, TUMOUR_COLOUR
from BrainTumorSegLib.engine.output.writing import OutputPaths, write_result
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study
from BrainTumorSegLib.scene.provenance import tagOf
from BrainTumorSegLib.scene.resultImport import ImportedResult, ResultFiles, importResult, readResult
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.volumeGeometry import localToWorld
from scene.phantomScene import BALL_CENTRE_RAS, GRIDS, TRANSFORMS, addTransform, addVolume, exportFlair


def resultOf(study: Study) -> Result:
    """What the pipeline would give if the network were the ball's brightness."""
    mask = study.flair > 50
    probability = mask.astype(np.float32)
    measures = slice_measures(mask, probability, study.geometry)
    scores = [
        SliceScore(index, tumour_probability=float(each.area_mm2 > 0), segmented=True, **asdict(each))
        for index, each in enumerate(measures)
    ]
    model = ModelProvenance("lgg", "1.0.0", "ab" * 32, "CC-BY-NC-SA-4.0")
    settings = UsedSettings(0.5, 0.05, 0.1, True)
    lesions = find_lesions(mask, study.geometry)
    return Result(study, mask, probability, tuple(scores), lesions, model, None, settings, "cpu", "float32")


def segmentByEngine(flair: Any, folder: Path) -> ImportedResult:
    exported = exportFlair(flair, folder)
    outputs = OutputPaths(folder / "t.seg.nrrd", folder / "p.nrrd", folder / "r.json", None)
    write_result(resultOf(read_study(StudyPaths(exported.flair.path))), outputs)
    report = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    files = ResultFiles(outputs.segmentation, outputs.probability)
    return importResult(readResult(files, exported), report, exported, flair, None, SegmentationUndo())


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_ball_comes_back_on_its_voxels_and_is_measured_in_the_world(
    scene: Any, tmp_path: Path, grid: str, transform: str
) -> None:
    flair = addVolume(scene, "FLAIR", GRIDS[grid], addTransform(scene, TRANSFORMS[transform]))
    result = segmentByEngine(flair, tmp_path)
    ball = slicer.util.arrayFromVolume(flair) > 50
    np.testing.assert_array_equal(maskOnVolume(result.segmentationNode, result.segmentId, flair), ball)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result.probabilityNode) > 0.5, ball)
    table = result.lesionsNode.GetTable()
    centroid = [table.GetValueByName(0, f"centroid_{axis}_mm").ToDouble() for axis in "ras"]
    centre = (localToWorld(flair) @ [*BALL_CENTRE_RAS, 1])[:3]
    assert np.linalg.norm(centroid - centre) < 0.5


def test_slice_positions_are_those_of_the_world(scene: Any, tmp_path: Path) -> None:
    flair = addVolume(scene, "FLAIR", GRIDS["axial"], addTransform(scene, TRANSFORMS["rigid transform"]))
    table = segmentByEngine(flair, tmp_path).sliceScoresNode.GetTable()
    positions = [table.GetValueByName(row, "position_mm").ToDouble() for row in range(table.GetNumberOfRows())]
    middle = [(25 / 2), (23 / 2)]
    expected = [(localToWorld(flair) @ GRIDS["axial"] @ [*middle, k, 1])[2] for k in range(18)]
    np.testing.assert_allclose(positions, expected, atol=1e-3)


def test_file_of_the_engine_opens_in_slicer_as_a_segmentation_by_itself(scene: Any, tmp_path: Path) -> None:
    flair = addVolume(scene, "FLAIR", GRIDS["oblique, thick slices"])
    segmentByEngine(flair, tmp_path)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Opened")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "t.seg.nrrd"))
    assert storage.ReadData(node)
    segmentId = node.GetSegmentation().GetNthSegmentID(0)
    segment = node.GetSegmentation().GetSegment(segmentId)
    assert segment.GetName() == SEGMENT_NAME
    assert segment.GetColor() == pytest.approx(TUMOUR_COLOUR, abs=0.005)
    assert tagOf(segment, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
    np.testing.assert_array_equal(maskOnVolume(node, segmentId, flair), slicer.util.arrayFromVolume(flair) > 50)
