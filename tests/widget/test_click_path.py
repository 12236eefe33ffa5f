"""The panel as a user meets it: choose, click, watch, look at the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer

from BrainTumorSegLib.engine.memory import needed_bytes


def test_without_a_volume_the_tooltip_says_what_is_missing(panel: Any) -> None:
    assert not panel.ui.segmentButton.enabled
    assert panel.ui.segmentButton.toolTip == "Choose the FLAIR volume first."


def test_inputs_are_found_by_name(panel: Any, click: Any, study: dict[str, Any]) -> None:
    panel.ui.guessButton.click()
    chosen = [panel.ui.flairSelector, panel.ui.t1Selector, panel.ui.t1cSelector]
    assert [each.currentNode().GetName() for each in chosen] == ["FLAIR", "T1", "T1 post contrast"]
    assert panel.ui.segmentButton.enabled


def test_the_tooltip_says_how_much_memory_a_start_takes(panel: Any, study: dict[str, Any]) -> None:
    panel.ui.flairSelector.setCurrentNode(study["FLAIR"])
    needed = needed_bytes(study["FLAIR"].GetImageData().GetDimensions(), 1)
    assert panel.ui.segmentButton.toolTip.endswith(f"Takes up to {needed / 1e9:.1f} GB of memory.")
    slicer.util.updateVolumeFromArray(study["FLAIR"], np.indices((200, 512, 512), np.uint8)[0])
    panel.ui.t1Selector.setCurrentNode(study["T1"])
    assert "Takes up to 1.9 GB of memory" in panel.ui.segmentButton.toolTip


def test_finding_inputs_keeps_what_was_chosen(panel: Any, click: Any, study: dict[str, Any]) -> None:
    panel.ui.flairSelector.setCurrentNode(study["T1"])
    panel.ui.guessButton.click()
    assert panel.ui.flairSelector.currentNode() is study["T1"]
    assert panel.ui.t1Selector.currentNode() is None


def test_the_same_volume_twice_is_refused_in_words(panel: Any, study: dict[str, Any]) -> None:
    panel.ui.flairSelector.setCurrentNode(study["FLAIR"])
    panel.ui.t1Selector.setCurrentNode(study["FLAIR"])
    assert not panel.ui.segmentButton.enabled
    assert "twice" in panel.ui.segmentButton.toolTip


def test_a_click_ends_in_a_segmentation_with_numbers(shell: Any, panel: Any, click: Any, study: dict[str, Any]) -> None:
    panel.ui.guessButton.click()
    click(panel)
    node = panel.ui.segmentationSelector.currentNode()
    assert node is not None, panel.ui.statusLabel.text
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    assert "Tumour found" in panel.ui.statusLabel.text
    assert panel.ui.measurementsTable.rowCount == 2
    assert panel.ui.measurementsTable.item(1, 0).text() == "All"
    assert panel.ui.segmentButton.text == "Segment tumour"
    assert not panel.ui.progressBar.visible


def test_while_it_runs_the_button_cancels_and_the_stage_is_shown(
    shell: Any, panel: Any, click: Any, study: dict[str, Any], engine: Any
) -> None:
    engine(stage_s=0.5)
    panel.ui.guessButton.click()
    panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: "Loading" in panel.ui.statusLabel.text)
    assert panel.ui.segmentButton.text == "Cancel"
    assert panel.ui.progressBar.visible
    assert 0 < panel.ui.progressBar.value < 100
    panel.ui.segmentButton.click()
    assert panel.ui.segmentButton.text == "Cancelling..."
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    assert panel.ui.statusLabel.text == "Cancelled. The scene is as it was."
    assert panel.ui.segmentationSelector.currentNode() is None


def test_after_a_cancel_the_next_click_works(
    shell: Any, panel: Any, click: Any, study: dict[str, Any], engine: Any
) -> None:
    engine(stage_s=0.1)
    panel.ui.guessButton.click()
    panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: panel.ui.progressBar.value > 0)
    click(panel)
    assert "Cancelled" in panel.ui.statusLabel.text
    click(panel)
    assert "Tumour found" in panel.ui.statusLabel.text


@pytest.mark.parametrize("attempt", ["second click", "new settings"])
def test_a_second_run_replaces_its_own_result(
    shell: Any, panel: Any, click: Any, study: dict[str, Any], scene: Any, attempt: str
) -> None:
    panel.ui.guessButton.click()
    click(panel)
    first = panel.ui.segmentationSelector.currentNode()
    panel.ui.recommendedCheckBox.checked = attempt == "second click"
    click(panel)
    assert panel.ui.segmentationSelector.currentNode() is first
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    assert panel.ui.undoButton.enabled
