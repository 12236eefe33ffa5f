"""The overlay lies over the views when it is asked for, and is gone without a trace afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from BrainTumorSegLib.engine.measurement.lesions import binary_entropy
from BrainTumorSegLib.scene.ownNodes import PROBABILITY, partOf

pytestmark = pytest.mark.usefixtures("kept_engine")


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


def test_the_legend_is_told_of_once_its_volume_is_in_the_views(
    panel: Any, result: Any, scene: Any, composite: Any
) -> None:
    """Slicer's views draw a legend at a change of it, if they show its volume by then: they stayed without."""
    told: list[str] = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onAdded(_scene: Any, _event: str, node: Any) -> None:
        if node.IsA("vtkMRMLColorLegendDisplayNode"):
            node.AddObserver("ModifiedEvent", lambda *_: told.append(composite.GetForegroundVolumeID()))

    tag = scene.AddObserver(scene.NodeAddedEvent, onAdded)
    before = composite.GetForegroundVolumeID()
    panel.ui.overlayButton.click()
    scene.RemoveObserver(tag)
    assert told[-1] == composite.GetForegroundVolumeID() != before


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


@pytest.fixture
def axial(scene: Any) -> Any:
    """The axial view, for the classifier is asked about the slice in it."""
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    view.SetOrientationToAxial()
    return view


def ask(panel: Any) -> None:
    panel.ui.overlayComboBox.currentIndex = 2
    panel.ui.overlayButton.click()


def ended(panel: Any) -> Any:
    return lambda: not panel.controller.isRunning


def test_what_the_classifier_looked_at_is_shown_for_the_slice_in_view(
    shell: Any, axial: Any, panel: Any, result: Any, composite: Any, study: dict[str, Any]
) -> None:
    panel.controller._resultPanel.navigator.goTo(7)
    ask(panel)
    assert composite.GetForegroundVolumeID() == study["T1"].GetID(), "not computed yet"
    shell.processEventsUntil(lambda: "Asking the classifier" in panel.ui.statusLabel.text)
    shell.processEventsUntil(ended(panel))
    shown = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    flair = slicer.util.arrayFromVolume(study["FLAIR"])
    expected = np.zeros(flair.shape, np.float32)
    expected[7] = flair[7] / flair.max()
    np.testing.assert_allclose(slicer.util.arrayFromVolume(shown), expected, atol=1e-6)
    (legend,) = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert legend.GetTitleText() == "What the classifier saw (slice 8)"
    assert panel.ui.statusLabel.text.startswith("Slice 8: bright is what spoke most for tumour in this slice")
    panel.ui.overlayButton.click()
    assert composite.GetForegroundVolumeID() == study["T1"].GetID()
    assert slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode") == []


@pytest.mark.parametrize("end", [take_away, leave, choose_another])
def test_an_answer_that_nobody_waits_for_any_more_is_not_shown(
    shell: Any, axial: Any, panel: Any, click: Any, result: Any, composite: Any, study: dict[str, Any], end: Any
) -> None:
    ask(panel)
    end(shell, panel, click)
    shell.processEventsUntil(ended(panel))
    assert composite.GetForegroundVolumeID() == study["T1"].GetID()
    assert slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode") == []
    assert not panel.ui.overlayButton.checked


def test_a_model_without_a_classifier_is_said_and_the_button_is_up(
    shell: Any, axial: Any, panel: Any, result: Any, engine: Any
) -> None:
    engine(stage_s=0, no_classifier=True)
    panel.logic.session.stop()
    ask(panel)
    shell.processEventsUntil(ended(panel))
    assert panel.ui.statusLabel.text.startswith("This model has no slice classifier, so there is nothing to explain.")
    assert not panel.ui.overlayButton.checked


def test_asking_can_be_cancelled(shell: Any, axial: Any, panel: Any, result: Any, engine: Any) -> None:
    engine(stage_s=30)
    panel.logic.session.stop()
    ask(panel)
    shell.processEventsUntil(lambda: "Asking" in panel.ui.statusLabel.text)
    panel.ui.segmentButton.click()
    shell.processEventsUntil(ended(panel))
    assert not panel.ui.overlayButton.checked


def test_without_an_axial_view_or_an_input_it_says_so(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], scene: Any, request: pytest.FixtureRequest
) -> None:
    ask(panel)
    assert shell.dialogs.shown[-1].startswith("No axial view shows a slice of this study.")
    assert not panel.ui.overlayButton.checked
    request.getfixturevalue("axial")
    scene.RemoveNode(study["T1"])
    ask(panel)
    assert shell.dialogs.shown[-1].startswith("The T1 volume that this result was made from is not in the scene")
    assert not panel.ui.overlayButton.checked


def test_a_new_result_takes_the_overlay_of_the_old_one_away(panel: Any, click: Any, result: Any) -> None:
    panel.ui.overlayButton.click()
    click(panel)
    assert not panel.ui.overlayButton.checked
    assert slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode") == []


def test_without_a_result_there_is_nothing_to_lay_over(panel: Any) -> None:
    assert not panel.ui.overlayButton.enabled
    assert not panel.ui.overlayComboBox.enabled
