"""A low window: the result is in view after a click, however much there is to note."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6 import QtCore, QtWidgets

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
    end = time.monotonic() + 0.3
    shell.processEventsUntil(lambda: time.monotonic() > end)
    assert panel.ui.inputsCollapsibleButton.collapsed
    assert panel.ui.outputsCollapsibleButton.collapsed
    assert ends_at(module_panel, panel.ui.statusLabel) > 0
    assert ends_at(module_panel, panel.ui.measurementsTable) > panel.ui.measurementsTable.height()
    assert ends_at(module_panel, getattr(panel.ui, last)) <= module_panel.viewport().height()


def test_notes_are_three_lines_until_all_are_asked_for(
    panel: Any, click: Any, study: dict[str, Any], engine: Any
) -> None:
    said = notes_of(5)
    engine(stage_s=0, warnings=said)
    panel.ui.guessButton.click()
    click(panel)
    lines = panel.ui.notesLabel.text.splitlines()
    assert [line[:6] for line in lines] == ["Note 0", "Note 1", "Note 2"]
    assert all(len(line) <= 52 for line in lines)
    assert panel.ui.notesButton.text == "Notes in full (5)"
    panel.ui.notesButton.click()
    assert panel.ui.notesLabel.text.splitlines() == said


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
