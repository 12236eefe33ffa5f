"""The overlay lies over the views when it is asked for, and is gone without a trace afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from BrainTumorSegLib.engine.measurement.lesions import binary_entropy
from BrainTumorSegLib.scene.ownNodes import PROBABILITY, partOf


@pytest.fixture
def composite(scene: Any, study: dict[str, Any]) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")


@pytest.fixture
def result(panel: Any, click: Any, study: dict[str, Any], engine: Any, composite: Any) -> Any:
    engine(stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    composite.SetForegroundVolumeID(study["T1"].GetID())
    composite.SetForegroundOpacity(0.25)
    return panel.ui.segmentationSelector.currentNode()


def nodes(scene: Any) -> set[str]:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


@pytest.mark.parametrize(("index", "title"), [(0, "Uncertainty (bit)"), (1, "Tumour probability")])
def test_an_overlay_has_a_legend_and_the_right_values(
    panel: Any, result: Any, composite: Any, index: int, title: str
) -> None:
    panel.ui.overlayComboBox.currentIndex = index
    panel.ui.overlayButton.click()
    shown = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    probability = slicer.util.arrayFromVolume(partOf(result, PROBABILITY))
    expected = probability if index == 1 else binary_entropy(probability)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(shown), expected, atol=1e-5)
    (legend,) = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert legend.GetTitleText() == title
    assert legend.GetPrimaryDisplayNode() is shown.GetDisplayNode()
    assert not shown.GetSaveWithScene()
    assert shown.GetHideFromEditors()


def test_segments_are_outlines_below_it_and_filled_as_before_afterwards(panel: Any, result: Any, scene: Any) -> None:
    """Fill and overlay mixed into colours that the legend does not have."""
    hollow = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Reader")
    hollow.CreateDefaultDisplayNodes()
    hollow.GetDisplayNode().SetVisibility2DFill(False)
    displays = [result.GetDisplayNode(), hollow.GetDisplayNode()]
    displays[0].SetOpacity2DFill(0.3)
    panel.ui.overlayButton.click()
    panel.ui.overlayComboBox.currentIndex = 1
    assert [each.GetVisibility2DFill() for each in displays] == [False, False]
    assert all(each.GetVisibility2DOutline() for each in displays)
    panel.ui.overlayButton.click()
    assert [each.GetVisibility2DFill() for each in displays] == [True, False]
    assert displays[0].GetOpacity2DFill() == pytest.approx(0.3)


def test_the_choice_can_be_changed_while_it_is_shown(panel: Any, result: Any, composite: Any) -> None:
    panel.ui.overlayButton.click()
    panel.ui.overlayComboBox.currentIndex = 1
    assert slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID()).GetName() == "Tumour probability"
    assert len(slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")) == 1


def leave(shell: Any, panel: Any, click: Any) -> None:
    shell.leave(panel)


def take_away(shell: Any, panel: Any, click: Any) -> None:
    panel.ui.overlayButton.click()


def undo(shell: Any, panel: Any, click: Any) -> None:
    panel.ui.undoButton.click()


def choose_another(shell: Any, panel: Any, click: Any) -> None:
    panel.controller.parameters.segmentation = None


@pytest.mark.parametrize("end", [take_away, leave, undo, choose_another])
def test_nothing_of_it_stays(
    shell: Any, panel: Any, click: Any, result: Any, composite: Any, study: dict[str, Any], scene: Any, end: Any
) -> None:
    click(panel)  # so that there is something to undo
    composite.SetForegroundVolumeID(study["T1"].GetID())
    composite.SetForegroundOpacity(0.25)
    before = nodes(scene)
    panel.ui.overlayButton.click()
    assert composite.GetForegroundVolumeID() != study["T1"].GetID()
    end(shell, panel, click)
    assert composite.GetForegroundVolumeID() == study["T1"].GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.25)
    assert nodes(scene) <= before
    assert not panel.ui.overlayButton.checked


def test_closing_the_scene_leaves_nothing_and_the_button_is_up(
    shell: Any, panel: Any, result: Any, composite: Any, scene: Any
) -> None:
    panel.ui.overlayButton.click()
    scene.Clear(0)
    assert slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode") == []
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    assert not panel.ui.overlayButton.checked


def test_a_scene_saved_below_an_overlay_comes_back_without_it(
    panel: Any, result: Any, scene: Any, tmp_path: Path
) -> None:
    panel.ui.overlayButton.click()
    assert scene.WriteToMRB(str(tmp_path / "saved.mrb"))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(tmp_path / "saved.mrb"), True)
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode").GetDisplayNode().GetVisibility2DFill()
    assert scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 0
    assert not panel.ui.overlayButton.checked


def test_without_a_result_there_is_nothing_to_lay_over(panel: Any) -> None:
    assert not panel.ui.overlayButton.enabled
    assert not panel.ui.overlayComboBox.enabled
