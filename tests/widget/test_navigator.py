"""The way through the slices: the strip, the list for review, ticks that stay with the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
from phantomScene import BALL_CENTRE_RAS
from PySide6 import QtCore, QtGui

from BrainTumorSegLib.engine.measurement.review_order import review_order
from BrainTumorSegLib.scene.ownNodes import SLICE_SCORES, partOf
from BrainTumorSegLib.scene.resultTables import sliceScoresOf
from BrainTumorSegLib.scene.review import VolumeSlices, reviewedSlices, reviewOf, shownIndex

pytestmark = pytest.mark.usefixtures("kept_engine")


@pytest.fixture
def view(scene: Any) -> Any:
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Red")
    scene.AddNode(node)
    node.SetOrientationToAxial()
    return node


@pytest.fixture
def result(view: Any, segmented: Any) -> Any:
    return segmented()


def navigator(panel: Any) -> Any:
    return panel.controller._resultPanel.navigator


def press(strip: Any, x: float, kind: Any = QtCore.QEvent.Type.MouseButtonPress) -> None:
    """What Qt sends for the left button at a place of the strip."""
    place = QtCore.QPointF(x, 20)
    left = QtCore.Qt.MouseButton.LeftButton
    button = left if kind == QtCore.QEvent.Type.MouseButtonPress else QtCore.Qt.MouseButton.NoButton
    event = QtGui.QMouseEvent(kind, place, place, button, left, QtCore.Qt.KeyboardModifier.NoModifier)
    QtCore.QCoreApplication.sendEvent(strip, event)


def shown(study: dict[str, Any]) -> int:
    index = shownIndex(VolumeSlices.of(study["FLAIR"]))
    assert index is not None
    return round(index)


def test_a_click_on_the_strip_shows_that_slice_and_a_drag_goes_on(
    panel: Any, result: Any, study: dict[str, Any]
) -> None:
    strip = navigator(panel).strip
    press(strip, strip.placeOf(12))
    assert shown(study) == 12
    press(strip, strip.placeOf(4), QtCore.QEvent.Type.MouseMove)
    assert shown(study) == 4
    press(strip, 5000, QtCore.QEvent.Type.MouseMove)
    assert shown(study) == 17


def test_the_strip_follows_the_view(panel: Any, result: Any, study: dict[str, Any], view: Any) -> None:
    strip = navigator(panel).strip
    view.JumpSliceByOffsetting(*VolumeSlices.of(study["FLAIR"]).centreRas(14))
    assert strip._current == 14
    before = strip.pixmap().toImage()
    view.JumpSliceByOffsetting(*VolumeSlices.of(study["FLAIR"]).centreRas(3))
    assert strip._current == 3
    assert strip.pixmap().toImage() != before


def test_the_strip_draws_the_area_of_each_slice(panel: Any, result: Any, study: dict[str, Any]) -> None:
    strip = navigator(panel).strip
    image = strip.pixmap().toImage()
    table = partOf(result, SLICE_SCORES).GetTable()
    areas = [table.GetValueByName(row, "area_mm2").ToDouble() for row in range(18)]
    for index, area in enumerate(areas):
        colour = image.pixelColor(round(strip.placeOf(index)) - 2, 22 + 19)  # the lowest line of the area's band
        isGreen = colour.green() > colour.red() + 30 and colour.alpha() == 255
        assert isGreen == (round(20 * area / max(areas)) > 0), index


def test_the_list_is_ordered_by_need_and_a_row_leads_to_its_slice(
    panel: Any, result: Any, study: dict[str, Any]
) -> None:
    review = reviewOf(result)
    order = [need.index for need in review_order(sliceScoresOf(result))]
    assert review == tuple(sorted(review, key=lambda each: order.index(each.index)))
    table = panel.ui.reviewTable
    assert [table.item(row, 0).text() for row in range(table.rowCount)] == [str(each.index + 1) for each in review]
    assert all(table.item(row, 1).text().endswith(".") for row in range(table.rowCount))
    table.cellClicked.emit(2, 1)
    assert shown(study) == review[2].index


def test_ticks_count_up_in_list_box_and_strip(panel: Any, result: Any, study: dict[str, Any]) -> None:
    table, count = panel.ui.reviewTable, len(reviewOf(result))
    table.item(0, 0).setCheckState(QtCore.Qt.CheckState.Checked)
    assert panel.ui.reviewedCheckBox.text == f"1 of {count} reviewed"
    table.cellClicked.emit(1, 0)
    panel.ui.reviewedCheckBox.click()
    assert panel.ui.reviewCollapsibleButton.text == f"Slices to review (2 of {count} reviewed)"
    assert reviewedSlices(result) == {each.index for each in reviewOf(result)[:2]}
    assert sum(each.isReviewed for each in navigator(panel).strip._slices) == 2
    panel.ui.reviewedCheckBox.click()
    assert panel.ui.reviewedCheckBox.text == f"1 of {count} reviewed"


def test_ticks_are_saved_with_the_scene(panel: Any, result: Any, scene: Any, tmp_path: Path) -> None:
    panel.ui.reviewTable.item(0, 0).setCheckState(QtCore.Qt.CheckState.Checked)
    ticked = reviewedSlices(result)
    path = tmp_path / "review.mrb"
    assert scene.WriteToMRB(str(path))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(path), True)
    loaded = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert reviewedSlices(loaded) == ticked
    assert len(ticked) == 1


def test_a_new_result_is_not_reviewed_and_undo_brings_the_ticks_back(
    panel: Any, click: Any, result: Any, study: dict[str, Any]
) -> None:
    panel.ui.reviewTable.item(0, 0).setCheckState(QtCore.Qt.CheckState.Checked)
    ticked = reviewedSlices(result)
    click(panel)
    assert reviewedSlices(result) == set()
    panel.ui.undoButton.click()
    assert reviewedSlices(result) == ticked


def test_without_a_result_there_is_no_strip_and_nothing_to_tick(panel: Any) -> None:
    assert not navigator(panel).strip.isVisible()
    assert not panel.ui.reviewedCheckBox.isVisible()
    assert not panel.ui.reviewCollapsibleButton.isVisible()


def test_the_strip_marks_the_lesion(panel: Any, result: Any, study: dict[str, Any]) -> None:
    slices = VolumeSlices.of(study["FLAIR"])
    centre = min(range(18), key=lambda index: abs(slices.centreRas(index)[2] - BALL_CENTRE_RAS[2]))
    strip = navigator(panel).strip
    assert strip._slices[centre].area == pytest.approx(1.0, abs=0.1)
