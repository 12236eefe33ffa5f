"""A result compared with another segmentation by a click: numbers, colours, and everything away again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from phantomScene import AXIAL, addTransform, addVolume, rotation, translation

from BrainTumorSegLib.scene.provenance import ownSegmentIds
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from head_phantom import head

pytestmark = pytest.mark.usefixtures("kept_engine")

SPACING_KJI_MM = (3.0, 1.5, 1.5)


@pytest.fixture
def result(segmented: Any) -> Any:
    """The segmentation node after one click."""
    return segmented()


def segmentation(scene: Any, name: str, mask: np.ndarray, volume: Any) -> Any:
    """A reader's: one segment, drawn on a volume, under the volume's transform."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateDefaultDisplayNodes()
    writeMask(node, node.GetSegmentation().AddEmptySegment(), mask, volume)
    return node


def tumour(result: Any, flair: Any) -> np.ndarray:
    return maskOnVolume(result, ownSegmentIds(result)[0], flair)


@pytest.fixture
def reader(scene: Any, result: Any, study: dict[str, Any]) -> Any:
    """The same tumour, two voxels to the side and without its lowest slices."""
    mask = np.roll(tumour(result, study["FLAIR"]), 2, axis=2)
    mask[:8] = False
    return segmentation(scene, "reader", mask, study["FLAIR"])


def compare(shell: Any, panel: Any, other: Any) -> str:
    """Choose it, click, wait; returns what the panel says."""
    panel.ui.comparisonSelector.setCurrentNode(other)
    panel.ui.comparisonButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    return str(panel.ui.comparisonLabel.text)


def drawn(scene: Any) -> list[Any]:
    """The segmentations that are here only for the comparison."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    return [node for node in nodes if node.GetHideFromEditors()]


def drawn_dice(scene: Any, flair: Any) -> float:
    """Of what the views show, red and green, on a volume's voxels."""
    red, green = (maskOnVolume(each, each.GetSegmentation().GetNthSegmentID(0), flair) for each in drawn(scene))
    return 2.0 * int((red & green).sum()) / int(red.sum() + green.sum())


def test_numbers_are_monai_s_and_those_of_the_voxels(
    shell: Any, panel: Any, result: Any, reader: Any, study: dict[str, Any]
) -> None:
    said = compare(shell, panel, reader)
    flair = study["FLAIR"]
    masks = [maskOnVolume(reader, reader.GetSegmentation().GetNthSegmentID(0), flair), tumour(result, flair)]
    first, second = (torch.from_numpy(mask)[None, None] for mask in masks)
    dice = float(compute_dice(first, second, include_background=True))
    hd95 = float(
        compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=SPACING_KJI_MM)
    )
    assert f"Dice {dice:.3f}, HD95 {hd95:.1f} mm." in said
    volumes = [mask.sum() * np.prod(SPACING_KJI_MM) / 1000 for mask in masks]
    assert f"Red: reader, {volumes[0]:.1f} mL." in said
    change = volumes[1] - volumes[0]
    assert f"Green: this result, {volumes[1]:.1f} mL, {change:+.1f} mL ({100 * change / volumes[0]:+.1f} %)." in said


def test_reference_is_red_and_result_green_and_neither_in_its_own_colour(
    shell: Any, panel: Any, result: Any, reader: Any, scene: Any
) -> None:
    compare(shell, panel, reader)
    assert panel.ui.comparisonButton.checked
    colours = [node.GetSegmentation().GetNthSegment(0).GetColor() for node in drawn(scene)]
    assert colours == [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    assert not result.GetDisplayNode().GetVisibility2D()
    assert not reader.GetDisplayNode().GetVisibility2D()


@pytest.mark.parametrize("way", ["button", "module", "other", "edit", "deleted", "scene"])
def test_it_is_never_left_behind(
    shell: Any, panel: Any, result: Any, reader: Any, study: dict[str, Any], scene: Any, way: str
) -> None:
    compare(shell, panel, reader)
    assert len(drawn(scene)) == 2
    if way == "button":
        panel.ui.comparisonButton.click()
    elif way == "module":
        shell.leave(panel)
    elif way == "other":
        panel.ui.comparisonSelector.setCurrentNode(None)
    elif way == "edit":
        mask = tumour(result, study["FLAIR"])
        mask[:, :, :12] = False
        writeMask(result, ownSegmentIds(result)[0], mask, study["FLAIR"])
    elif way == "deleted":
        scene.RemoveNode(reader)
    else:
        scene.Clear(False)
        shell.app.processEvents()
    assert drawn(scene) == []
    assert not panel.ui.comparisonButton.checked
    assert not panel.ui.comparisonLabel.text
    if way != "scene":
        assert result.GetDisplayNode().GetVisibility2D()


def test_a_scene_saved_meanwhile_has_its_outlines_when_it_is_loaded(
    shell: Any, panel: Any, result: Any, reader: Any, scene: Any, tmp_path: Path
) -> None:
    compare(shell, panel, reader)
    assert scene.WriteToMRB(str(tmp_path / "study.mrb"), None)
    scene.Clear(False)
    shell.app.processEvents()
    assert scene.ReadFromMRB(str(tmp_path / "study.mrb"), True)
    panel.initializeParameterNode()
    displays = slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode")
    assert [display.GetVisibility2D() for display in displays] == [1, 1]
    assert drawn(scene) == []


def test_with_itself_or_nothing_there_is_no_button(panel: Any, result: Any, reader: Any) -> None:
    assert not panel.ui.comparisonButton.enabled
    panel.ui.comparisonSelector.setCurrentNode(result)
    assert not panel.ui.comparisonButton.enabled
    panel.ui.comparisonSelector.setCurrentNode(reader)
    assert panel.ui.comparisonButton.enabled


def test_only_segments_that_are_shown_are_compared(
    shell: Any, panel: Any, result: Any, reader: Any, study: dict[str, Any]
) -> None:
    hidden = reader.GetSegmentation().AddEmptySegment()
    writeMask(reader, hidden, np.ones((18, 24, 26), bool), study["FLAIR"])
    before = compare(shell, panel, reader)
    reader.GetDisplayNode().SetSegmentVisibility(hidden, False)
    after = compare(shell, panel, reader)
    assert "18.9 mL" not in after
    assert after != before


def test_nothing_shown_is_said(shell: Any, panel: Any, result: Any, reader: Any) -> None:
    reader.GetDisplayNode().SetSegmentVisibility(reader.GetSegmentation().GetNthSegmentID(0), False)
    assert compare(shell, panel, reader) == ""
    assert "'reader' shows no segment" in panel.ui.statusLabel.text
    assert not panel.ui.comparisonButton.checked


def test_both_are_where_the_scene_shows_them(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], scene: Any
) -> None:
    """A copy on another grid under a transform that takes it to the same place."""
    transform = addTransform(scene, translation((15.0, 0.0, 0.0)) @ rotation(2, 30))
    toOwn = np.linalg.inv(translation((15.0, 0.0, 0.0)) @ rotation(2, 30))
    volume = addVolume(scene, "own", toOwn @ AXIAL, transform)
    other = segmentation(scene, "copy", tumour(result, study["FLAIR"]), volume)
    assert "Dice 1.000, HD95 0.0 mm." in compare(shell, panel, other)
    assert drawn_dice(scene, study["FLAIR"]) == 1.0


def test_an_earlier_study_that_lies_elsewhere_is_laid_onto_this_one(
    shell: Any, panel: Any, click: Any, engine: Any, scene: Any
) -> None:
    """The same head 12 mm and 10 degrees away, its tumour outlined there."""
    image = head((60, 64, 40), (3.0, 3.0, 4.0))
    import SimpleITK as sitk  # the phantom's own writer

    voxels = sitk.GetArrayFromImage(image)
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine(image)
    moved = translation((12.0, 4.0, -6.0)) @ rotation(2, 10) @ matrix
    now, before = volume(scene, "FLAIR", voxels, matrix), volume(scene, "FLAIR earlier", voxels, moved)
    panel.ui.flairSelector.setCurrentNode(now)
    engine(stage_s=0)
    click(panel)
    result = panel.ui.segmentationSelector.currentNode()
    earlier = segmentation(scene, "earlier", tumour(result, now), before)
    said = compare(shell, panel, earlier)
    found = re.search(r"Dice ([\d.]+), HD95 ([\d.]+) mm.*moved by [\d.]+ mm, turned by ([\d.]+) degrees", said, re.S)
    assert found is not None, said
    assert float(found[1]) > 0.9
    assert float(found[2]) <= 3.0
    assert float(found[3]) == pytest.approx(10, abs=1)
    assert drawn_dice(scene, now) > 0.9, "the earlier outline is drawn on this study"


def volume(scene: Any, name: str, voxels: np.ndarray, ijkToRas: np.ndarray) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    node.CreateDefaultDisplayNodes()
    return node


def affine(image: Any) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def test_from_the_console(panel: Any, result: Any, reader: Any) -> None:
    found = panel.logic.compare(reader, result)
    assert 0 < found.dice < 1
    assert found.change_ml == pytest.approx(found.second_ml - found.first_ml)
    with pytest.raises(Exception, match="can't be compared with itself"):
        panel.logic.compare(result, result)
