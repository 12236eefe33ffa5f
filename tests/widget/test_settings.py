"""The choices of the panel: kept in the scene, and what the engine is asked for."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import slicer

from BrainTumorSegLib.engine.errors import InputError, Remedy
from BrainTumorSegLib.jobs.settings import JobSettings

pytestmark = pytest.mark.usefixtures("kept_engine")


@pytest.fixture
def settings(panel: Any) -> Any:
    """What the panel's present state asks the engine for."""
    from BrainTumorSegLib.widget.parameters import jobSettings

    return lambda: jobSettings(panel.controller.parameters)


def test_untouched_settings_are_the_models_own(settings: Any) -> None:
    assert settings() == JobSettings()


def test_every_choice_reaches_the_engine(panel: Any, settings: Any) -> None:
    panel.ui.recommendedCheckBox.click()
    panel.ui.thresholdSlider.value = 0.35
    panel.ui.minimumVolumeSpinBox.setValue(0.5)
    panel.ui.gateCheckBox.click()
    panel.ui.ttaCheckBox.click()
    panel.ui.registrationComboBox.setCurrentIndex(1)
    panel.ui.keepProbabilityCheckBox.click()
    panel.ui.deviceComboBox.setCurrentIndex(1)
    expected = JobSettings(
        device="cpu", gate=0.0, threshold=0.35, min_volume_ml=0.5, tta=False, register="on", keepProbability=True
    )
    assert settings() == expected


def test_threshold_and_volume_can_only_be_set_without_the_recommendation(panel: Any) -> None:
    assert not panel.ui.thresholdSlider.enabled
    panel.ui.recommendedCheckBox.click()
    assert panel.ui.thresholdSlider.enabled
    assert panel.ui.minimumVolumeSpinBox.enabled


def test_choices_survive_that_the_module_is_left_and_opened_again(
    shell: Any, panel: Any, study: dict[str, Any]
) -> None:
    panel.ui.guessButton.click()
    panel.ui.ttaCheckBox.click()
    panel.ui.deviceComboBox.setCurrentIndex(1)
    panel.ui.t1Selector.setCurrentNode(None)
    for _ in range(3):
        shell.leave(panel)
        shell.enter(panel)
    assert not panel.ui.ttaCheckBox.checked
    assert panel.ui.deviceComboBox.currentIndex == 1
    assert panel.ui.flairSelector.currentNode() is study["FLAIR"]
    assert panel.ui.t1Selector.currentNode() is None, "a volume that was left out stays out"


def test_an_opened_scene_brings_its_own_choices(shell: Any, panel: Any, study: dict[str, Any], scene: Any) -> None:
    panel.ui.guessButton.click()
    scene.InvokeEvent(scene.StartImportEvent)
    panel.ui.flairSelector.setCurrentNode(None)  # as a selector does while its scene fills
    scene.InvokeEvent(scene.EndImportEvent)
    assert panel.ui.flairSelector.currentNode() is study["FLAIR"]


def test_what_goes_wrong_in_a_click_is_shown(
    shell: Any, panel: Any, study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("Python is gone.", "Install it again.")

    monkeypatch.setattr(panel.logic, "_makePythonProcess", refuse)
    panel.controller._areModelsKnown = False
    panel.ui.guessButton.click()
    panel.ui.segmentButton.click()
    assert shell.dialogs.shown == ["Python is gone. Install it again."]


def shift(node: Any, upward_mm: float) -> None:
    node.SetOrigin(np.add(node.GetOrigin(), (0, 0, upward_mm)))


@pytest.mark.parametrize(
    ("upward_mm", "said"),
    [(30.0, "T1 covers only"), (500.0, "T1 covers 0% of the head in FLAIR")],
    ids=["warning", "refusal"],
)
def test_advice_to_register_names_the_panels_choice_and_no_option(
    panel: Any, click: Any, study: dict[str, Any], upward_mm: float, said: str
) -> None:
    shift(study["T1"], upward_mm)
    panel.ui.guessButton.click()
    panel.ui.registrationComboBox.setCurrentIndex(2)
    click(panel)
    panel.ui.notesButton.click()
    text = f"{panel.ui.statusLabel.text} {panel.ui.notesLabel.text}"
    assert said in text
    label = panel.ui.registrationComboBoxLabel.text.removesuffix(":")
    always = panel.ui.registrationComboBox.itemText(1)
    assert f"choose '{always}' for '{label}' under '{panel.ui.advancedCollapsibleButton.text}'" in text
    assert "--register" not in text


@pytest.mark.parametrize("remedy", Remedy)
def test_every_remedy_has_words_in_the_panel(shell: Any, remedy: Remedy) -> None:
    from BrainTumorSegLib.widget.words import remedyText

    assert remedyText(remedy)


def test_a_choice_made_by_a_script_shows_in_the_panel(panel: Any, study: dict[str, Any]) -> None:
    panel.logic.getParameterNode().keepProbability = True
    panel.logic.getParameterNode().flair = study["FLAIR"]
    assert panel.ui.keepProbabilityCheckBox.checked
    assert panel.ui.flairSelector.currentNode() is study["FLAIR"]
    assert panel.ui.segmentButton.enabled


def test_the_probability_volume_is_added_when_wanted(panel: Any, click: Any, study: dict[str, Any], scene: Any) -> None:
    panel.ui.guessButton.click()
    panel.ui.keepProbabilityCheckBox.click()
    click(panel)
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert any("probability" in name for name in names)


def test_opening_the_module_changes_no_view(shell: Any, module: Any, scene: Any) -> None:
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName("Red")
    scene.AddNode(composite)
    changes = []
    composite.AddObserver("ModifiedEvent", lambda *_: changes.append(1))
    opened = shell.open(module.BrainTumorSegWidget)
    opened.cleanup()
    assert changes == []


def test_the_self_test_that_slicer_runs_passes_here_too(
    panel: Any, module: Any, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(voxels: Any, name: str) -> None:
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, voxels)

    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda _name: panel)
    monkeypatch.setattr(slicer.util, "addVolumeFromArray", add)  # Slicer's needs its colour logic
    # Another test of this session may have imported it.
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    module.BrainTumorSegTest().runTest()
