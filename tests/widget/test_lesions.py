"""Lesions one by one: out of the segment by a tick, into segments of their own, and back by one click."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6 import QtCore, QtTest

from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.provenance import isEdited, ownSegmentIds, tumourSegmentIds
from BrainTumorSegLib.scene.remeasure import followEdits, isMeasured, tumourMask
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask

pytestmark = pytest.mark.usefixtures("kept_engine")


@pytest.fixture
def result(panel: Any, study: dict[str, Any], segmented: Any) -> Any:
    """A result with three lesions: the ball, a bar and a smaller bar drawn beside it."""
    node = segmented()
    segmentId = ownSegmentIds(node)[0]
    mask = maskOnVolume(node, segmentId, study["FLAIR"])
    mask[1, 1:3, 2:14] = True
    mask[15, 20, 3:9] = True
    writeMask(node, segmentId, mask, study["FLAIR"])
    followEdits(node)
    panel.controller.update()
    return node


def volumes(panel: Any) -> list[str]:
    table = panel.ui.measurementsTable
    return [table.item(row, 1).text() for row in range(table.rowCount)]


def untick(panel: Any, row: int) -> None:
    panel.ui.measurementsTable.item(row, 0).setCheckState(QtCore.Qt.CheckState.Unchecked)


def test_an_unticked_lesion_leaves_the_segment_and_undo_brings_it_back(
    panel: Any, result: Any, study: dict[str, Any]
) -> None:
    before, rows = tumourMask(result, study["FLAIR"]), volumes(panel)
    assert len(rows) == 4, "three lesions and their sum"
    untick(panel, 1)
    after = tumourMask(result, study["FLAIR"])
    expected = before.copy()
    expected[1, 1:3, 2:14] = False
    np.testing.assert_array_equal(after, expected)
    assert volumes(panel)[:2] == [rows[0], rows[2]]
    assert "Lesion 2 (0.16 mL) was taken out" in panel.ui.statusLabel.text
    assert isMeasured(result)
    panel.ui.undoButton.click()
    np.testing.assert_array_equal(tumourMask(result, study["FLAIR"]), before)
    assert volumes(panel) == rows


def test_with_every_lesion_out_it_does_not_say_that_there_was_no_tumour(panel: Any, result: Any) -> None:
    for _ in range(3):
        untick(panel, 0)
    assert panel.ui.measurementsTable.rowCount == 0
    assert panel.ui.resultLabel.text.startswith("All lesions were left out by hand. The segmentation is empty")
    panel.ui.undoButton.click()
    assert panel.ui.resultLabel.text == "One lesion found."


def test_a_real_click_on_a_lesions_box_takes_it_out_and_says_nothing_else(
    shell: Any, panel: Any, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is gone when the button comes up: Qt tells a click on row -1."""
    places: list[Any] = []
    monkeypatch.setattr("BrainTumorSegLib.widget.resultPanel.showPosition", places.append)
    table = panel.ui.measurementsTable
    for _ in range(3):
        place = table.visualItemRect(table.item(table.rowCount - 2, 0))
        box = QtCore.QPoint(place.left() + 12, place.center().y())
        QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.MouseButton.LeftButton, pos=box)
    assert table.rowCount == 0
    assert (places, shell.dialogs.shown) == ([], [])


def test_a_tick_on_a_table_that_is_behind_takes_nothing_out(
    shell: Any, panel: Any, result: Any, study: dict[str, Any]
) -> None:
    mask = tumourMask(result, study["FLAIR"])
    mask[1] = False
    writeMask(result, ownSegmentIds(result)[0], mask, study["FLAIR"])
    untick(panel, 1)
    np.testing.assert_array_equal(tumourMask(result, study["FLAIR"]), mask)
    assert "has just been changed" in shell.dialogs.shown[-1]


def test_lesions_get_segments_of_their_own_and_are_joined_again(panel: Any, result: Any, study: dict[str, Any]) -> None:
    before, rows = tumourMask(result, study["FLAIR"]), volumes(panel)
    panel.ui.splitButton.click()
    ids = tumourSegmentIds(result)
    segmentation = result.GetSegmentation()
    assert [segmentation.GetSegment(each).GetName() for each in ids] == ["Tumour 1", "Tumour 2", "Tumour 3"]
    assert len({segmentation.GetSegment(each).GetColor() for each in ids}) == 3
    voxel_ml = 1.5 * 1.5 * 3.0 / 1000
    parts = [maskOnVolume(result, each, study["FLAIR"]) for each in ids]
    assert [f"{part.sum() * voxel_ml:.2f}" for part in parts] == rows[:3]
    np.testing.assert_array_equal(np.sum(parts, axis=0), before)
    assert volumes(panel) == rows
    assert panel.ui.splitButton.text == "Join lesions again"
    panel.ui.splitButton.click()
    assert [segmentation.GetSegment(each).GetName() for each in tumourSegmentIds(result)] == ["Tumour"]
    np.testing.assert_array_equal(tumourMask(result, study["FLAIR"]), before)
    assert volumes(panel) == rows


def test_a_split_tumour_is_measured_as_a_whole_and_one_of_its_lesions_can_be_taken_out(
    panel: Any, result: Any, study: dict[str, Any]
) -> None:
    rows = volumes(panel)
    panel.ui.splitButton.click()
    untick(panel, 2)
    assert volumes(panel)[:2] == rows[:2]
    assert len(volumes(panel)) == 3
    assert partOf(result, LESIONS).GetNumberOfRows() == 2


def test_splitting_is_no_correction(panel: Any, click: Any, study: dict[str, Any], engine: Any) -> None:
    engine(stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    node = panel.ui.segmentationSelector.currentNode()
    assert not panel.ui.splitButton.enabled, "one lesion"
    assert not any(isEdited(node, each) for each in tumourSegmentIds(node))


def test_the_next_result_replaces_all_lesions(
    shell: Any, panel: Any, click: Any, result: Any, study: dict[str, Any]
) -> None:
    panel.ui.splitButton.click()
    shell.dialogs.answer = True  # replace what was corrected
    click(panel)
    assert len(ownSegmentIds(result)) == 1
    assert len(volumes(panel)) == 2
