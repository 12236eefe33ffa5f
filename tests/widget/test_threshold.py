"""The threshold that is shown is the one that is used, and a result follows it at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from phantomScene import AXIAL, BALL_CENTRE_RAS, SIZE_IJK
from PySide6 import QtCore, QtGui

from BrainTumorSegLib.engine.measurement.mask import mask_from_probability
from BrainTumorSegLib.scene.liveThreshold import limitsOf
from BrainTumorSegLib.scene.ownNodes import PROBABILITY, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.probabilityImport import storeProbability
from BrainTumorSegLib.scene.provenance import isEdited, ownSegmentIds
from BrainTumorSegLib.scene.remeasure import geometryOf, isMeasured
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask

pytestmark = pytest.mark.usefixtures("kept_engine")

PRESS, RELEASE = QtCore.QEvent.Type.KeyPress, QtCore.QEvent.Type.KeyRelease


def falling_off() -> np.ndarray:
    """A probability that falls from the ball's centre outward, float32 [K, J, I]."""
    points = AXIAL @ np.stack([*np.indices(SIZE_IJK).reshape(3, -1), np.ones(np.prod(SIZE_IJK))])
    distance = np.linalg.norm(points[:3].T - BALL_CENTRE_RAS, axis=1).reshape(SIZE_IJK).transpose(2, 1, 0)
    return np.clip(1 - distance / 20, 0, 1).astype(np.float32)


@pytest.fixture
def result(study: dict[str, Any], segmented: Any) -> Any:
    """A result with a probability that has something to offer at every threshold."""
    node = segmented()
    storeProbability(falling_off(), study["FLAIR"], node)
    return node


def mask_of(result: Any, study: dict[str, Any]) -> np.ndarray:
    return maskOnVolume(result, ownSegmentIds(result)[0], study["FLAIR"])


def expected(study: dict[str, Any], threshold: float, volume_ml: float) -> np.ndarray:
    return mask_from_probability(falling_off(), geometryOf(study["FLAIR"]), threshold, volume_ml)


def test_while_recommended_the_fields_show_the_models_values_and_unticked_they_begin_with_them(panel: Any) -> None:
    assert panel.ui.recommendedCheckBox.checked
    assert panel.ui.thresholdSlider.value == pytest.approx(0.5)
    assert panel.ui.minimumVolumeSpinBox.value == pytest.approx(1.0), "the released model's own"
    panel.ui.recommendedCheckBox.click()
    assert panel.ui.minimumVolumeSpinBox.value == pytest.approx(1.0)
    assert panel.ui.minimumVolumeSpinBox.enabled
    panel.ui.minimumVolumeSpinBox.value = 0.3
    panel.ui.recommendedCheckBox.click()
    assert panel.ui.minimumVolumeSpinBox.value == pytest.approx(1.0)


def test_outline_table_and_areas_follow_the_slider(panel: Any, result: Any, study: dict[str, Any]) -> None:
    panel.ui.recommendedCheckBox.click()
    for threshold in (0.3, 0.65, 0.6):
        panel.ui.thresholdSlider.value = threshold
        mask = expected(study, threshold, 1.0)
        np.testing.assert_array_equal(mask_of(result, study), mask)
        volume_ml = mask.sum() * 1.5 * 1.5 * 3.0 / 1000
        assert panel.ui.measurementsTable.item(0, 1).text() == f"{volume_ml:.2f}"
        table = partOf(result, SLICE_SCORES).GetTable()
        areas = [table.GetValueByName(row, "area_mm2").ToDouble() for row in range(18)]
        assert areas == pytest.approx((mask.sum(axis=(1, 2)) * 2.25).tolist())
    assert limitsOf(result).threshold == 0.6
    assert not isEdited(result, ownSegmentIds(result)[0]), "the engine's own outline at another threshold"
    assert isMeasured(result)


def test_the_readout_says_what_a_step_to_both_sides_would_give(panel: Any, result: Any, study: dict[str, Any]) -> None:
    assert panel.ui.thresholdReadoutLabel.text == "", "not measured where it can't be seen"
    panel.ui.advancedCollapsibleButton.collapsed = False
    panel.ui.recommendedCheckBox.click()
    panel.ui.thresholdSlider.value = 0.6
    below, volume, above = (expected(study, each, 1.0).sum() * 1.5 * 1.5 * 3.0 / 1000 for each in (0.5, 0.6, 0.7))
    text = f"{volume:.1f} mL at 0.60; {below:.1f} mL at 0.50, {above:.1f} mL at 0.70."
    assert panel.ui.thresholdReadoutLabel.text == text


def test_moves_in_a_row_are_one_step_and_undo_puts_the_slider_back(
    panel: Any, result: Any, study: dict[str, Any]
) -> None:
    before = mask_of(result, study)
    panel.ui.recommendedCheckBox.click()
    for threshold in (0.55, 0.6, 0.7):
        panel.ui.thresholdSlider.value = threshold
    panel.ui.undoButton.click()
    np.testing.assert_array_equal(mask_of(result, study), before)
    assert panel.ui.thresholdSlider.value == pytest.approx(limitsOf(result).threshold)
    assert not panel.ui.undoButton.enabled


def test_ticking_recommended_again_brings_the_recommended_outline(
    panel: Any, result: Any, study: dict[str, Any]
) -> None:
    panel.ui.recommendedCheckBox.click()
    panel.ui.thresholdSlider.value = 0.65
    panel.ui.recommendedCheckBox.click()
    np.testing.assert_array_equal(mask_of(result, study), expected(study, 0.5, 1.0))


def test_a_corrected_outline_does_not_follow(shell: Any, panel: Any, result: Any, study: dict[str, Any]) -> None:
    mask = mask_of(result, study)
    mask[0, 0, 0] = True
    writeMask(result, ownSegmentIds(result)[0], mask, study["FLAIR"])
    end = time.monotonic() + 0.3
    shell.processEventsUntil(lambda: time.monotonic() > end)
    panel.ui.advancedCollapsibleButton.collapsed = False
    panel.ui.recommendedCheckBox.click()
    panel.ui.thresholdSlider.value = 0.65
    np.testing.assert_array_equal(mask_of(result, study), mask)
    assert "it was corrected" in panel.ui.thresholdReadoutLabel.text


def test_the_surface_comes_back_when_the_slider_rests(
    shell: Any, panel: Any, result: Any, study: dict[str, Any]
) -> None:
    panel.ui.recommendedCheckBox.click()
    panel.ui.thresholdSlider.value = 0.65
    segmentation = result.GetSegmentation()
    shell.processEventsUntil(lambda: segmentation.ContainsRepresentation("Closed surface"), 5)


def test_choosing_another_study_changes_no_result(panel: Any, result: Any, study: dict[str, Any], scene: Any) -> None:
    before = mask_of(result, study)
    panel.controller.parameters.segmentation = None
    panel.ui.recommendedCheckBox.click()
    panel.ui.thresholdSlider.value = 0.65
    panel.controller.parameters.segmentation = result
    np.testing.assert_array_equal(mask_of(result, study), before)


def test_the_probability_is_kept_hidden_and_survives_with_the_scene(
    panel: Any, result: Any, scene: Any, tmp_path: Path
) -> None:
    node = partOf(result, PROBABILITY)
    assert node.GetHideFromEditors()
    hierarchy = scene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemByDataNode(node) == hierarchy.GetInvalidItemID()
    path = tmp_path / "threshold.mrb"
    assert scene.WriteToMRB(str(path))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(path), True)
    loaded = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    np.testing.assert_allclose(slicer.util.arrayFromVolume(partOf(loaded, PROBABILITY)), falling_off(), atol=1e-6)


def press(shell: Any, key: str) -> None:
    """A key while the main window has the focus."""
    code = QtGui.QKeySequence(key)[0].key()
    for kind in (PRESS, RELEASE):
        event = QtGui.QKeyEvent(kind, code, QtCore.Qt.KeyboardModifier.NoModifier, key.lower())
        QtCore.QCoreApplication.sendEvent(shell.parent.windowHandle(), event)


def test_keys_work_while_the_module_is_open_and_only_then(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], scene: Any
) -> None:
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    panel.controller.update()
    shell.parent.activateWindow()
    shell.app.processEvents()

    def height() -> float:
        return float(view.GetSliceToRAS().GetElement(2, 3))

    start = height()
    press(shell, "N")
    assert height() != start
    press(shell, "X")
    assert panel.ui.reviewedCheckBox.checked
    press(shell, "O")
    assert not result.GetDisplayNode().GetVisibility2D()
    press(shell, "O")
    assert result.GetDisplayNode().GetVisibility2D()
    press(shell, ".")
    assert limitsOf(result).threshold == pytest.approx(0.55)
    press(shell, ",")
    press(shell, ",")
    assert limitsOf(result).threshold == pytest.approx(0.45)
    place = height()
    shell.leave(panel)
    for key in ("N", "P", "O", "."):
        press(shell, key)
    assert height() == place
    assert result.GetDisplayNode().GetVisibility2D()
    assert limitsOf(result).threshold == pytest.approx(0.45)
    shell.enter(panel)
    press(shell, "P")
    assert height() != place


def test_tooltips_and_help_name_the_keys(panel: Any, module: Any) -> None:
    from BrainTumorSegLib.widget.shortcuts import Key

    tips = {
        Key.NEXT: panel.ui.nextSliceButton.toolTip,
        Key.PREVIOUS: panel.ui.previousSliceButton.toolTip,
        Key.REVIEWED: panel.ui.reviewedCheckBox.toolTip,
        Key.LOWER: panel.ui.thresholdSlider.toolTip,
        Key.HIGHER: panel.ui.thresholdSlider.toolTip,
    }
    for key, tip in tips.items():
        assert f" {key.value}" in tip.split("key", 1)[1], key
