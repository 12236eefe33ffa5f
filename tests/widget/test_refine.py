"""Some strokes in the Segment Editor, one click, and the outline follows; what was drawn and reviewed holds."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from BrainTumorSegLib.scene.ownNodes import LESIONS, REFINED, partOf
from BrainTumorSegLib.scene.provenance import isCalledAutomatic, tumourSegmentIds
from BrainTumorSegLib.scene.remeasure import isMeasured, tumourMask
from BrainTumorSegLib.scene.review import setReviewed
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask

pytestmark = pytest.mark.usefixtures("kept_engine")

ALONE = "BRAINTUMORSEG_TEST_ALONE"
MISSED = np.zeros((18, 24, 26), bool)
MISSED[14:17, 4:12, 4:12] = True
"""A part of the tumour that is too dark for the engine of these tests, which finds the bright ball alone."""
STROKE = (15, slice(7, 9), slice(7, 9))
ERASED = (9, 12, slice(11, 13))
"""Two voxels in the ball that somebody takes away."""
VOXEL_ML = 1.5 * 1.5 * 3.0 / 1000


@pytest.fixture
def result(panel: Any, click: Any, study: dict[str, Any], engine: Any) -> Any:
    """The ball, outlined."""
    slicer.util.arrayFromVolume(study["FLAIR"])[MISSED] = 45
    slicer.util.arrayFromVolumeModified(study["FLAIR"])
    engine(stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    return panel.ui.segmentationSelector.currentNode()


@pytest.fixture
def draw(shell: Any, panel: Any, result: Any, study: dict[str, Any]) -> Callable[..., np.ndarray]:
    """Paints and erases as the Segment Editor does, and waits until the panel has noticed; returns the tumour."""

    def change(paint: Any = None, erase: Any = None) -> np.ndarray:
        segmentId = tumourSegmentIds(result)[0]
        mask = maskOnVolume(result, segmentId, study["FLAIR"])
        if paint is not None:
            mask[paint] = True
        if erase is not None:
            mask[erase] = False
        writeMask(result, segmentId, mask, study["FLAIR"])
        shell.processEventsUntil(lambda: isMeasured(result) and panel.ui.refineButton.visible)
        return tumourMask(result, study["FLAIR"])

    return change


@pytest.fixture
def refine(shell: Any, panel: Any, result: Any, study: dict[str, Any]) -> Callable[[], np.ndarray]:
    """Clicks, waits for the end, and returns the tumour."""

    def click_and_wait() -> np.ndarray:
        panel.ui.refineButton.click()
        shell.processEventsUntil(lambda: not panel.controller.isRunning)
        return tumourMask(result, study["FLAIR"])

    return click_and_wait


def begin_anew(panel: Any) -> None:
    """The next request starts an engine that behaves as asked now."""
    panel.logic.session.stop()


def test_the_button_comes_with_the_first_correction(panel: Any, result: Any, draw: Any) -> None:
    assert not panel.ui.refineButton.visible
    draw(paint=STROKE)
    assert panel.ui.refineButton.visible


def test_strokes_bring_in_what_was_missed_and_hold(
    panel: Any, result: Any, study: dict[str, Any], draw: Any, refine: Any
) -> None:
    before = draw(paint=STROKE, erase=ERASED)
    after = refine()
    found, part = after[13:], MISSED[13:]
    assert 2 * (found & part).sum() / (found.sum() + part.sum()) > 0.9
    assert after[STROKE].all()
    assert not after[ERASED].any()
    changed_ml = (after != before).sum() * VOXEL_ML
    assert f"Refined around your corrections: {changed_ml:.2f} mL changed." in panel.ui.statusLabel.text
    table = panel.ui.measurementsTable
    assert float(table.item(table.rowCount - 1, 1).text()) == pytest.approx(after.sum() * VOXEL_ML, abs=0.005)
    assert isMeasured(result)
    assert not isCalledAutomatic(result.GetSegmentation().GetSegment(tumourSegmentIds(result)[0]))
    assert result.GetSegmentation().ContainsRepresentation("Closed surface")


def test_reviewed_slices_keep_every_voxel(
    panel: Any, result: Any, study: dict[str, Any], draw: Any, refine: Any
) -> None:
    before = draw(paint=STROKE, erase=ERASED)
    reviewed = [9, 14, 16]
    assert (refine()[reviewed] != before[reviewed]).any(axis=(1, 2)).sum() >= 2, "they would change"
    panel.ui.undoButton.click()
    for index in reviewed:
        setReviewed(result, index, True)
    after = refine()
    np.testing.assert_array_equal(after[reviewed], before[reviewed])
    assert after[STROKE].all()


def test_it_is_one_step_back_to_the_strokes_which_can_be_refined_again(
    panel: Any, result: Any, study: dict[str, Any], draw: Any, refine: Any
) -> None:
    before, rows = draw(paint=STROKE), partOf(result, LESIONS).GetNumberOfRows()
    after = refine()
    panel.ui.undoButton.click()
    np.testing.assert_array_equal(tumourMask(result, study["FLAIR"]), before)
    assert partOf(result, LESIONS).GetNumberOfRows() == rows
    assert partOf(result, REFINED) is None
    np.testing.assert_array_equal(refine(), after)


def test_earlier_strokes_hold_in_later_refinements(
    panel: Any, result: Any, draw: Any, refine: Any, scene: Any, tmp_path: Path
) -> None:
    draw(paint=STROKE)
    refine()
    doubtful = (16, 4, slice(4, 6))
    draw(erase=doubtful)
    refine()
    draw(paint=(15, 12, 12))
    after = refine()
    assert not after[doubtful].any(), "erased two refinements ago, bright as its neighbours"
    assert after[STROKE].all()


def test_without_a_new_stroke_it_says_so(panel: Any, draw: Any, refine: Any) -> None:
    draw(paint=STROKE)
    after = refine()
    np.testing.assert_array_equal(refine(), after)
    assert panel.ui.statusLabel.text.startswith("Nothing was corrected since the last outline. Paint tumour or erase")


def test_strokes_in_reviewed_slices_alone_change_nothing(panel: Any, result: Any, draw: Any, refine: Any) -> None:
    before = draw(paint=STROKE)
    setReviewed(result, STROKE[0], True)
    np.testing.assert_array_equal(refine(), before)
    assert "ticked off as reviewed, which never change" in panel.ui.statusLabel.text


def test_it_can_be_cancelled_and_the_next_click_works(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], draw: Any, refine: Any, engine: Any
) -> None:
    before = draw(paint=STROKE)
    engine(stage_s=30)
    begin_anew(panel)
    panel.ui.refineButton.click()
    shell.processEventsUntil(lambda: "Refining" in panel.ui.statusLabel.text)
    assert panel.ui.segmentButton.text == "Cancel"
    panel.ui.segmentButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    assert panel.ui.statusLabel.text == "Cancelled. The scene is as it was."
    np.testing.assert_array_equal(tumourMask(result, study["FLAIR"]), before)
    engine(stage_s=0)
    begin_anew(panel)
    assert refine()[13:].sum() > before[13:].sum()


def test_what_is_drawn_meanwhile_stays_and_a_slice_ticked_off_meanwhile_too(
    shell: Any, panel: Any, result: Any, study: dict[str, Any], draw: Any, engine: Any
) -> None:
    before = draw(paint=STROKE)
    engine(stage_s=0.5)
    begin_anew(panel)
    panel.ui.refineButton.click()
    shell.processEventsUntil(lambda: "Refining" in panel.ui.statusLabel.text)
    setReviewed(result, 16, True)
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    after = tumourMask(result, study["FLAIR"])
    np.testing.assert_array_equal(after[16], before[16])
    assert after[15].sum() > before[15].sum()
    draw(erase=ERASED)
    panel.ui.refineButton.click()
    shell.processEventsUntil(lambda: "Refining" in panel.ui.statusLabel.text)
    drawn = draw(paint=(2, 2, 2))
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    np.testing.assert_array_equal(tumourMask(result, study["FLAIR"]), drawn)
    assert "was changed while it was being refined" in panel.ui.statusLabel.text


def test_an_engine_that_dies_changes_nothing(
    panel: Any, result: Any, study: dict[str, Any], draw: Any, refine: Any, engine: Any
) -> None:
    before = draw(paint=STROKE)
    engine(die_at="refine")
    begin_anew(panel)
    np.testing.assert_array_equal(refine(), before)
    assert "ended unexpectedly" in panel.ui.statusLabel.text


def test_a_segmentation_deleted_meanwhile_is_said(
    shell: Any, panel: Any, result: Any, draw: Any, engine: Any, scene: Any
) -> None:
    draw(paint=STROKE)
    engine(stage_s=0.5)
    begin_anew(panel)
    panel.ui.refineButton.click()
    shell.processEventsUntil(lambda: "Refining" in panel.ui.statusLabel.text)
    scene.RemoveNode(result)
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    assert "The segmentation is not in the scene any more." in panel.ui.statusLabel.text


def test_strokes_and_refinements_are_kept_with_the_scene(
    shell: Any, panel: Any, draw: Any, refine: Any, scene: Any, tmp_path: Path
) -> None:
    draw(paint=STROKE)
    refine()
    drawn = draw(erase=(16, 4, slice(4, 6)))
    assert scene.WriteToMRB(str(tmp_path / "drawn.mrb"))
    expected = refine()
    scene.Clear(0)
    assert scene.ReadFromMRB(str(tmp_path / "drawn.mrb"), True)
    node = panel.ui.segmentationSelector.currentNode()
    flair = panel.ui.flairSelector.currentNode()
    np.testing.assert_array_equal(tumourMask(node, flair), drawn)
    assert panel.ui.refineButton.visible
    panel.ui.refineButton.click()
    shell.processEventsUntil(lambda: not panel.controller.isRunning)
    np.testing.assert_array_equal(tumourMask(node, flair), expected)


def test_lesions_that_were_split_are_split_afterwards(
    panel: Any, result: Any, study: dict[str, Any], draw: Any, refine: Any
) -> None:
    draw(paint=STROKE)
    panel.ui.splitButton.click()
    assert len(tumourSegmentIds(result)) == 2
    after = refine()
    parts = [maskOnVolume(result, each, study["FLAIR"]) for each in tumourSegmentIds(result)]
    assert len(parts) == 2
    np.testing.assert_array_equal(np.sum(parts, axis=0), after)


def test_a_new_result_forgets_strokes_and_refinements(
    shell: Any, panel: Any, click: Any, result: Any, draw: Any, refine: Any
) -> None:
    draw(paint=STROKE)
    refine()
    shell.dialogs.answer = True  # replace it
    click(panel)
    assert partOf(result, REFINED) is None
    assert not panel.ui.refineButton.visible


def test_in_a_process_of_its_own_no_turn_of_the_event_loop_is_long() -> None:
    """What hundreds of tests have left behind in this process takes turns of its own."""
    test = f"{__file__}::test_no_turn_of_the_event_loop_is_long"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, env=os.environ | {ALONE: "1"}, capture_output=True, text=True, timeout=200)
    assert "1 passed" in done.stdout, done.stdout[-2000:]


@pytest.mark.skipif(ALONE not in os.environ, reason="measured in a process of its own by the test above")
def test_no_turn_of_the_event_loop_is_long(shell: Any, panel: Any, draw: Any, small_heap: None) -> None:
    from BrainTumorSegLib.application.loadingAhead import PACKAGES

    for name in PACKAGES:  # in turns of their own: test_loading_ahead.py
        importlib.import_module(name)
    longest_s = []
    # What tests before have left behind in this process may cost one of them a turn.
    for correction in ({"paint": STROKE}, {"erase": ERASED}, {"paint": ERASED}):
        draw(**correction)
        panel.ui.refineButton.click()
        turns_s = [0.0]
        while panel.controller.isRunning:
            begun_s = time.thread_time()
            shell.app.processEvents()
            turns_s.append(time.thread_time() - begun_s)
            time.sleep(0.002)
        longest_s.append(max(turns_s))
    assert min(longest_s) < 0.1
