"""A low window: the result is in view after a click, however much there is to note."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6 import QtCore, QtWidgets

from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from BrainTumorSegLib.widget.labels import write

pytestmark = pytest.mark.usefixtures("kept_engine")

MODULE_PANEL_PX = {768: 450, 960: 640}
"""Height that Slicer's module panel has in a window of so many pixels, its Data Probe open: seen in a real Slicer."""


@pytest.fixture
def module_panel(shell: Any, panel: Any) -> Iterator[QtWidgets.QScrollArea]:
    """The panel in what scrolls it in Slicer, 375 px wide."""
    area = QtWidgets.QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(shell.parent)
    area.show()
    yield area
    area.takeWidget()


def notes_of(count: int) -> list[str]:
    return [f"Note {number}: {'something is not quite as it should be, ' * 4}and so on." for number in range(count)]


def settle(shell: Any) -> None:
    """Let what is due be laid out: in 0.3 s, and on a busy machine in as many turns of the loop as that usually has."""
    turns, end = iter(range(50)), time.monotonic() + 0.3
    shell.processEventsUntil(lambda: next(turns, None) is None and time.monotonic() > end)


def ends_at(area: QtWidgets.QScrollArea, widget: Any) -> int:
    """Where the lower edge of a widget is, px below the upper edge of what is in view."""
    return widget.mapTo(area.viewport(), QtCore.QPoint(0, widget.rect().height())).y()


@pytest.mark.parametrize(("window", "last"), [(768, "reviewCollapsibleButton"), (960, "moreCollapsibleButton")])
@pytest.mark.parametrize("notes", [0, 6])
def test_after_a_result_it_is_in_view(
    shell: Any,
    panel: Any,
    click: Any,
    study: dict[str, Any],
    engine: Any,
    module_panel: Any,
    window: int,
    last: str,
    notes: int,
) -> None:
    engine(stage_s=0, warnings=notes_of(notes))
    module_panel.resize(375, MODULE_PANEL_PX[window])
    panel.ui.guessButton.click()
    click(panel)
    settle(shell)
    assert panel.ui.inputsCollapsibleButton.collapsed
    assert panel.ui.outputsCollapsibleButton.collapsed
    assert ends_at(module_panel, panel.ui.statusLabel) > 0
    assert ends_at(module_panel, panel.ui.measurementsTable) > panel.ui.measurementsTable.height()
    assert ends_at(module_panel, getattr(panel.ui, last)) <= module_panel.viewport().height()


def is_in_view(area: QtWidgets.QScrollArea, widget: Any) -> bool:
    """Whether all of it can be seen."""
    end = ends_at(area, widget)
    return bool(widget.height() <= end <= area.viewport().height())


def test_after_a_comparison_its_numbers_are_in_view(
    shell: Any, panel: Any, segmented: Any, study: dict[str, Any], scene: Any, module_panel: Any
) -> None:
    result = segmented()
    module_panel.resize(375, MODULE_PANEL_PX[768])
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.SetAndObserveTransformNodeID(result.GetTransformNodeID())
    other.SetReferenceImageGeometryParameterFromVolumeNode(study["FLAIR"])
    mask = maskOnVolume(result, result.GetSegmentation().GetNthSegmentID(0), study["FLAIR"])
    writeMask(other, other.GetSegmentation().AddEmptySegment(), mask, study["FLAIR"])
    panel.ui.moreCollapsibleButton.collapsed = False
    panel.ui.comparisonSelector.setCurrentNode(other)
    panel.ui.comparisonButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    settle(shell)
    assert "Dice 1.000" in panel.ui.comparisonLabel.text
    assert is_in_view(module_panel, panel.ui.comparisonLabel)


def test_what_came_of_a_folder_is_in_view(shell: Any, panel: Any, tmp_path: Path, module_panel: Any) -> None:
    module_panel.resize(375, MODULE_PANEL_PX[768])
    panel.ui.batchCollapsibleButton.collapsed = False
    shell.choosePath(tmp_path)
    panel.ui.batchInputButton.click()
    shell.processEventsUntil(lambda: "stud" in panel.ui.batchStatusLabel.text)
    settle(shell)
    assert is_in_view(module_panel, panel.ui.batchStatusLabel)


def test_notes_are_three_lines_until_all_are_asked_for(
    panel: Any, click: Any, study: dict[str, Any], engine: Any
) -> None:
    said = notes_of(5)
    engine(stage_s=0, warnings=said)
    panel.ui.guessButton.click()
    click(panel)
    lines, words = panel.ui.notesLabel.text.splitlines(), panel.ui.notesButton.text
    panel.ui.notesButton.click()
    full = panel.ui.notesLabel.text.splitlines()
    assert full[-5:] == said  # what the study's reader tells of a ball without noise comes first
    assert words == f"Notes in full ({len(full)})"
    assert [line[:6] for line in lines] == [each[:6] for each in full[:3]]
    assert all(len(line) <= 52 for line in lines)


def test_what_the_user_opens_stays_open_after_the_next_result(
    panel: Any, click: Any, study: dict[str, Any], engine: Any
) -> None:
    engine(stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    panel.ui.inputsCollapsibleButton.collapsed = False
    click(panel)
    assert not panel.ui.inputsCollapsibleButton.collapsed
    assert panel.ui.outputsCollapsibleButton.collapsed


def test_where_something_must_be_chosen_the_choices_are_open(
    panel: Any, click: Any, study: dict[str, Any], engine: Any, scene: Any
) -> None:
    engine(stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    scene.Clear(0)
    assert not panel.ui.inputsCollapsibleButton.collapsed
    assert not panel.ui.outputsCollapsibleButton.collapsed


def test_a_long_sentence_presses_nothing_together(shell: Any, panel: Any, module_panel: Any) -> None:
    """Slicer's panel gives no more height than is asked for at least: the export's boxes lay over each other."""
    module_panel.resize(388, 450)
    shell.app.processEvents()
    before = shell.parent.layout().minimumSize().height()
    label = panel.ui.statusLabel
    write(label, "Something went wrong, and there is much to say about it. " * 6)
    assert label.minimumHeight() >= label.heightForWidth(label.width()) > 4 * label.fontMetrics().height()
    shell.app.processEvents()
    assert shell.parent.layout().minimumSize().height() - before > 3 * label.fontMetrics().height()
    write(label, "Done.")
    assert label.minimumHeight() < 2 * label.fontMetrics().height()
    write(label, "")
    shell.app.processEvents()
    assert shell.parent.layout().minimumSize().height() == before


def test_what_became_of_a_hand_over_is_in_view_though_its_button_is_far_below(
    shell: Any, panel: Any, click: Any, study: dict[str, Any], engine: Any, module_panel: Any, tmp_path: Any
) -> None:
    engine(stage_s=0)
    module_panel.resize(388, 300)
    panel.ui.guessButton.click()
    click(panel)
    panel.ui.exportButton.checked = True
    shell.choosePath(tmp_path)
    panel.ui.handOverButton.click()
    module_panel.verticalScrollBar().setValue(module_panel.verticalScrollBar().maximum())
    shell.processEventsUntil(lambda: panel.ui.statusLabel.text.startswith(f"Written into {tmp_path.name}: "))
    settle(shell)
    assert 0 < ends_at(module_panel, panel.ui.statusLabel) <= module_panel.viewport().height()


def test_no_section_asks_for_less_height_than_its_lines_take(
    shell: Any, panel: Any, click: Any, study: dict[str, Any], engine: Any, module_panel: Any
) -> None:
    """The last line of a comparison and of a model's description was cut in a real Slicer."""
    engine(stage_s=0)
    module_panel.resize(388, 450)
    panel.ui.guessButton.click()
    click(panel)
    for section in ("inputs", "more", "models", "batch", "computer"):
        getattr(panel.ui, f"{section}CollapsibleButton").collapsed = False
    write(panel.ui.comparisonLabel, "Dice.\nRed.\nGreen.")
    settle(shell)
    layout = panel.ui.inputsCollapsibleButton.parent().layout()
    shell.processEventsUntil(lambda: layout.geometry().width() > 0)
    assert layout.minimumHeightForWidth(layout.geometry().width()) <= layout.minimumSize().height()
