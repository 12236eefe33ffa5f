"""What can be done with a result: look, correct, measure, undo, export; and what survives save and load."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from phantomScene import BALL_CENTRE_RAS, rotation
from PySide6 import QtCore

from BrainTumorSegLib.scene import fingerprint
from BrainTumorSegLib.scene.ownNodes import LESIONS, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.provenance import ownSegmentIds
from BrainTumorSegLib.scene.remeasure import isMeasured
from BrainTumorSegLib.scene.review import VolumeSlices, shownIndex, showSlice
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask

pytestmark = pytest.mark.usefixtures("kept_engine")


@pytest.fixture
def result(segmented: Any, scene: Any) -> Any:
    """The segmentation node after one click, with one axial slice view in the scene."""
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    return segmented()


def correct(result: Any, study: dict[str, Any]) -> None:
    """Take half of the tumour away, as with the eraser."""
    segmentId = ownSegmentIds(result)[0]
    mask = maskOnVolume(result, segmentId, study["FLAIR"])
    mask[:, :, : mask.shape[2] // 2] = False
    writeMask(result, segmentId, mask, study["FLAIR"])


def wait(shell: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    shell.processEventsUntil(lambda: time.monotonic() > end)


def volume_ml(panel: Any) -> float:
    table = panel.ui.measurementsTable
    return float(table.item(table.rowCount - 1, 1).text())


def test_edit_opens_the_segment_editor_on_result_and_flair(
    shell: Any, panel: Any, result: Any, study: dict[str, Any]
) -> None:
    panel.ui.editButton.click()
    assert shell.selectedModules == ["SegmentEditor"]
    assert shell.segmentEditor.segmentationNode is result
    assert shell.segmentEditor.sourceVolumeNode is study["FLAIR"]


def test_a_new_result_has_a_surface_to_show_in_3d(panel: Any, result: Any) -> None:
    assert result.GetSegmentation().ContainsRepresentation("Closed surface")


def test_3d_is_shown_and_hidden(panel: Any, result: Any) -> None:
    assert panel.ui.show3DButton.checked
    panel.ui.show3DButton.click()
    assert not result.GetDisplayNode().GetVisibility3D()
    panel.ui.show3DButton.click()
    assert result.GetDisplayNode().GetVisibility3D()


def test_the_table_is_as_high_as_its_rows_and_numbers_stand_to_the_right(
    shell: Any, panel: Any, result: Any, scene: Any
) -> None:
    shell.app.processEvents()
    table = panel.ui.measurementsTable
    assert not table.verticalScrollBar().isVisible()
    assert table.height() < table.horizontalHeader().height() + 3 * table.rowHeight(0)
    right_and_centred = 0x0002 | 0x0080  # Qt::AlignRight, Qt::AlignVCenter
    assert int(table.item(0, 1).textAlignment()) == right_and_centred


def test_a_clicked_lesion_is_brought_into_view(panel: Any, result: Any, scene: Any) -> None:
    from phantomScene import BALL_CENTRE_RAS

    panel.ui.measurementsTable.cellClicked.emit(0, 0)
    view = scene.GetFirstNodeByClass("vtkMRMLSliceNode")
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(BALL_CENTRE_RAS[2], abs=2)


def test_next_and_previous_go_through_the_doubtful_slices(panel: Any, result: Any, scene: Any) -> None:
    view = scene.GetFirstNodeByClass("vtkMRMLSliceNode")
    heights = []
    for _ in range(3):
        panel.ui.nextSliceButton.click()
        heights.append(view.GetSliceToRAS().GetElement(2, 3))
    assert heights == sorted(set(heights))
    panel.ui.previousSliceButton.click()
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(heights[1])
    assert re.fullmatch(r"Slice \d+: The .+\.", panel.ui.reviewLabel.text)


def test_the_table_follows_a_correction_by_itself(shell: Any, panel: Any, result: Any, study: dict[str, Any]) -> None:
    before = volume_ml(panel)
    correct(result, study)
    shell.processEventsUntil(lambda: volume_ml(panel) != before)
    assert volume_ml(panel) == pytest.approx(before / 2, rel=0.1)
    assert panel.ui.statusLabel.text == "The outline was corrected; the numbers are of what it is now."
    assert partOf(result, LESIONS).GetTable().GetValueByName(0, "volume_ml").ToDouble() == pytest.approx(
        volume_ml(panel), abs=0.01
    )


def test_a_burst_of_edits_is_measured_once(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from BrainTumorSegLib.widget import resultPanel  # needs the shell's qt

    measured = []
    follow = resultPanel.followEdits
    monkeypatch.setattr(resultPanel, "followEdits", lambda node: measured.append(follow(node)))
    for _ in range(5):
        correct(result, study)
        shell.app.processEvents()
    shell.processEventsUntil(lambda: bool(measured))
    assert measured == [True]


def test_a_change_of_a_setting_looks_at_no_voxel(
    shell: Any, panel: Any, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    wait(shell, 0.2)
    digests = []
    monkeypatch.setattr(fingerprint, "_digest", lambda mask: digests.append(mask) or "")
    for _ in range(3):
        panel.ui.gateCheckBox.click()
        panel.ui.ttaCheckBox.click()
    wait(shell, 0.2)
    assert digests == []


def test_a_correction_without_its_flair_says_why_there_are_no_numbers(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], scene: Any
) -> None:
    correct(result, study)
    scene.RemoveNode(study["FLAIR"])
    shell.processEventsUntil(lambda: "can't be measured" in panel.ui.resultLabel.text)


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "replace"])
def test_a_corrected_segmentation_is_only_replaced_if_the_user_says_so(
    shell: Any, panel: Any, click: Any, result: Any, study: dict[str, Any], keep: bool
) -> None:
    correct(result, study)
    shell.dialogs.answer = not keep
    click(panel)
    assert any("corrected by hand" in text for text in shell.dialogs.shown)
    isNew = panel.ui.segmentationSelector.currentNode() is not result
    assert isNew == keep


def test_undo_brings_the_replaced_segmentation_back(
    shell: Any, panel: Any, click: Any, result: Any, study: dict[str, Any]
) -> None:
    correct(result, study)
    corrected = maskOnVolume(result, ownSegmentIds(result)[0], study["FLAIR"])
    shell.dialogs.answer = True
    click(panel)
    panel.ui.undoButton.click()
    assert np.array_equal(maskOnVolume(result, ownSegmentIds(result)[0], study["FLAIR"]), corrected)
    assert panel.ui.measurementsTable.rowCount == 2, "the lesion of the restored table, and the sum"
    assert panel.ui.nextSliceButton.enabled, "the restored scores say which slices to review"


def test_undo_brings_back_deleted_tables_and_knows_that_they_are_measured(
    shell: Any, panel: Any, click: Any, result: Any, study: dict[str, Any], scene: Any
) -> None:
    correct(result, study)
    wait(shell, 0.3)
    corrected_ml = volume_ml(panel)
    shell.dialogs.answer = True
    click(panel)
    assert volume_ml(panel) > 1.5 * corrected_ml
    for role in (LESIONS, SLICE_SCORES):
        scene.RemoveNode(partOf(result, role))
    panel.ui.undoButton.click()
    assert volume_ml(panel) == corrected_ml
    assert isMeasured(result)
    assert partOf(result, SLICE_SCORES).GetNumberOfRows() == 18


@pytest.mark.parametrize("answer", [QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Escape, None], ids=str)
def test_enter_escape_and_closing_the_question_keep_the_correction(
    shell: Any, panel: Any, click: Any, result: Any, study: dict[str, Any], answer: QtCore.Qt.Key | None
) -> None:
    correct(result, study)
    corrected = maskOnVolume(result, ownSegmentIds(result)[0], study["FLAIR"])
    shell.dialogs.answer = answer
    click(panel)
    assert any("corrected by hand" in text for text in shell.dialogs.shown)
    assert np.array_equal(maskOnVolume(result, ownSegmentIds(result)[0], study["FLAIR"]), corrected)
    assert panel.ui.segmentationSelector.currentNode() is not result


def test_after_a_result_the_views_show_flair_in_its_own_plane_at_the_lesion(
    scene: Any, panel: Any, click: Any, engine: Any, study: dict[str, Any]
) -> None:
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(study["T1 post contrast"].GetID())
    composite.SetForegroundVolumeID(study["T1"].GetID())
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    view.SetOrientationToAxial()
    engine(stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    assert composite.GetBackgroundVolumeID() == study["FLAIR"].GetID()
    assert composite.GetForegroundVolumeID() is None
    slices = VolumeSlices.of(study["FLAIR"])
    matrix = view.GetSliceToRAS()
    assert abs(sum(matrix.GetElement(row, 2) * slices.normal()[row] for row in range(3))) == pytest.approx(1.0)
    centre = [matrix.GetElement(row, 3) for row in range(3)]
    distance = (np.array(centre) - BALL_CENTRE_RAS) @ slices.normal()
    assert abs(distance) < 3.0, "within one slice of the ball's centre"


@pytest.mark.parametrize("tilt", [0, 15, 25])
def test_the_shown_slice_is_the_one_that_was_shown_also_in_a_tilted_view(
    scene: Any, study: dict[str, Any], tilt: float
) -> None:
    slices = VolumeSlices.of(study["FLAIR"])
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    view.SetOrientationToAxial()
    turned = rotation(0, tilt)
    for row in range(3):
        for column in range(3):
            view.GetSliceToRAS().SetElement(row, column, float(turned[row, column]))
    view.UpdateMatrices()
    for index in (0, 4, 11):
        showSlice(slices, index)
        # The view's origin may lie anywhere in its plane: here 40 mm aside.
        for row in range(3):
            element = view.GetSliceToRAS().GetElement(row, 3) + 40 * float(turned[row, 1])
            view.GetSliceToRAS().SetElement(row, 3, element)
        assert shownIndex(slices) == pytest.approx(index, abs=1e-6)


def test_what_was_said_of_a_study_goes_with_it(panel: Any, result: Any, study: dict[str, Any]) -> None:
    assert panel.ui.statusLabel.text
    panel.controller.parameters.flair = study["T1"]
    assert panel.ui.statusLabel.text == ""


def test_a_model_of_another_version_becomes_the_recommended_one(panel: Any) -> None:
    panel.controller.parameters.model = "lgg-of-another-version"
    assert panel.controller.parameters.model == ""
    assert panel.ui.modelComboBox.currentIndex == 0
    assert "'lgg-of-another-version' of this scene is not one of this version" in panel.ui.statusLabel.text


def test_the_word_on_another_versions_model_stays_while_inputs_are_chosen(
    shell: Any, panel: Any, study: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    node = panel.controller.parameters.parameterNode
    panel.onSceneStartClose(None, None)
    node.SetParameter("model", "lgg-of-another-version")
    assert scene.WriteToMRB(str(tmp_path / "old.mrb"))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(tmp_path / "old.mrb"), True)
    assert panel.ui.flairSelector.currentNode() is not None, "found by its name just now"
    assert "'lgg-of-another-version' of this scene is not one of this version" in panel.ui.statusLabel.text
    panel.ui.modelComboBox.currentIndex = 1
    panel.ui.t1Selector.setCurrentNode(None)
    panel.ui.flairSelector.setCurrentNode(None)
    assert panel.ui.statusLabel.text == "", "a model was chosen since"


def test_without_a_result_nothing_can_be_done_with_it(panel: Any) -> None:
    buttons = ("edit", "show3D", "previousSlice", "nextSlice", "undo", "export")
    assert not any(getattr(panel.ui, f"{name}Button").enabled for name in buttons)
    assert panel.ui.resultLabel.text == "No result yet."


def test_an_empty_result_is_said_as_a_result(shell: Any, panel: Any, result: Any, study: dict[str, Any]) -> None:
    from BrainTumorSegLib.scene.resultTables import showLesions

    showLesions({"lesions": []}, result, "")
    panel.controller.update()
    assert panel.ui.resultLabel.text.startswith("No tumour found.")
