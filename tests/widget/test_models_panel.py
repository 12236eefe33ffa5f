"""Models and this computer: what is asked, shown and done, with the children's work given by hand where it is slow."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from BrainTumorSegLib.engine.models.index import ModelEntry
from BrainTumorSegLib.engine.networks.registry import Task


def entry(name: str, task: Task, classifier: str | None = None) -> ModelEntry:
    licence = "CC-BY-NC-SA-4.0"
    file = f"{name}-1.0.0.zip"
    return ModelEntry(
        name=name,
        version="1.0.0",
        task=task,
        file=file,
        sha256="a" * 64,
        size_bytes=19_200_000,
        licence=licence,
        title=name.upper(),
        description="What it is.",
        classifier=classifier,
        recommendation={"threshold": 0.5, "gate": 0.1, "min_volume_ml": 0.25},
        metrics={},
        default=True,
    )


ENTRIES = (entry("net", Task.SEGMENTATION, "slices"), entry("slices", Task.CLASSIFICATION))

# Answers as the child does, from the states it is started with; a download makes all installed.
CHILD = """
import json, sys, time
action, state = sys.argv[1], sys.argv[2]
def say(**event): print(json.dumps({"id": "models", **event}), flush=True)
if action == "download":
    say(event="progress", stage="download", fraction=0.5)
    time.sleep(float(sys.argv[3]))
    state = "installed"
say(event="done", models=[{"name": n, "state": state} for n in ("net", "slices")], message=action + " done")
"""


@pytest.fixture
def models(shell: Any, module: Any, monkeypatch: pytest.MonkeyPatch, slow_engine: None) -> Any:
    """``models(state, delay_s)``: a panel whose children find both models in that state."""
    opened = []

    def open_panel(state: str, delay_s: float = 0.0) -> Any:
        monkeypatch.setattr(module.BrainTumorSegWidget, "_modelEntries", lambda _self: ENTRIES)
        made = shell.open(module.BrainTumorSegWidget)

        def make(arguments: list[str]) -> Any:
            return made.logic._makeProcess([sys.executable, "-c", CHILD, arguments[2], state, str(delay_s)])

        monkeypatch.setattr(made.logic, "_makePythonProcess", make)
        opened.append(made)
        return made

    yield open_panel
    for each in opened:
        each.cleanup()


def wait(shell: Any, made: Any) -> None:
    shell.processEventsUntil(lambda: not made.controller.isRunning and not made.logic._activities)


def test_nothing_is_started_before_somebody_asks(models: Any) -> None:
    made = models("installed")
    assert made.logic._activities == []
    assert made.ui.modelsTable.item(0, 1).text() == "?"


def test_opening_the_section_shows_what_is_installed(shell: Any, models: Any) -> None:
    made = models("not installed")
    made.ui.modelsCollapsibleButton.collapsed = False
    wait(shell, made)
    texts = [made.ui.modelsTable.item(0, column).text() for column in range(3)]
    assert texts == ["NET (recommended)", "available", "19.2 MB"]


@pytest.mark.parametrize(("state", "isOffered"), [("installed", False), ("not installed", True), ("damaged", True)])
def test_the_recommended_model_is_selected_and_a_download_offered_where_it_brings_something(
    shell: Any, models: Any, state: str, isOffered: bool
) -> None:
    made = models(state)
    made.ui.modelsCollapsibleButton.collapsed = False
    wait(shell, made)
    assert made.ui.modelDescriptionLabel.text == "NET (recommended), 1.0.0, CC-BY-NC-SA-4.0. What it is."
    assert made.ui.downloadModelButton.enabled is isOffered
    assert made.ui.verifyModelButton.enabled is (state != "not installed")


def test_without_its_packages_the_section_says_so_and_starts_no_child(
    shell: Any, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = models("installed")
    monkeypatch.setattr(shell.app, "testingEnabled", lambda: False)
    monkeypatch.setattr("BrainTumorSegLib.widget.computerPanel.missingPackages", lambda _path: ("filelock>=3.13",))
    made.ui.modelsCollapsibleButton.collapsed = False
    assert made.logic._activities == []
    assert made.ui.modelsStatusLabel.text.startswith("Python packages are missing: filelock>=3.13. Install them")


def test_the_first_click_asks_once_with_size_source_and_licence_then_segments(
    shell: Any, models: Any, study: dict[str, Any]
) -> None:
    made = models("not installed")
    made.ui.segmentButton.click()
    wait(shell, made)
    assert len(shell.dialogs.shown) == 1
    for part in ("38.4 MB", "GitHub", "CC-BY-NC-SA-4.0", "non-commercial"):
        assert part in shell.dialogs.shown[0]
    assert "Tumour found" in made.ui.statusLabel.text


def test_a_no_to_the_question_starts_nothing(shell: Any, models: Any, study: dict[str, Any]) -> None:
    made = models("not installed")
    shell.dialogs.answer = False
    made.ui.segmentButton.click()
    wait(shell, made)
    assert made.ui.statusLabel.text == "Nothing was segmented: the model is not on this computer."
    assert made.logic.lastJob is None


def test_a_download_can_be_cancelled_by_the_same_button(shell: Any, models: Any, study: dict[str, Any]) -> None:
    made = models("not installed", delay_s=30)
    made.ui.segmentButton.click()
    shell.processEventsUntil(lambda: made.ui.progressBar.value == 50)
    assert "Downloading the model" in made.ui.statusLabel.text
    made.ui.segmentButton.click()
    wait(shell, made)
    assert "Cancelled" in made.ui.statusLabel.text


def test_an_installed_model_is_segmented_with_at_once(shell: Any, models: Any, study: dict[str, Any]) -> None:
    made = models("installed")
    made.ui.segmentButton.click()
    wait(shell, made)
    assert shell.dialogs.shown == []
    assert "Tumour found" in made.ui.statusLabel.text


def test_the_mirror_is_kept_and_reaches_the_child(shell: Any, models: Any) -> None:
    made = models("installed")
    made.ui.mirrorLineEdit.text = "https://files.hospital.org/models"
    made.ui.mirrorLineEdit.editingFinished.emit()
    process = made.logic._makeProcess(["program"])
    assert process._environment["BRAINTUMORSEG_MIRROR"] == "https://files.hospital.org/models"


def test_removing_asks_first(shell: Any, models: Any) -> None:
    made = models("installed")
    made.ui.modelsCollapsibleButton.collapsed = False
    wait(shell, made)
    made.ui.modelsTable.selectRow(0)
    shell.dialogs.answer = False
    made.ui.removeModelButton.click()
    assert "Delete the model NET" in shell.dialogs.shown[-1]
    assert made.logic._activities == []


def test_check_this_computer_shows_each_finding(shell: Any, panel: Any) -> None:
    panel.ui.checkButton.click()
    shell.processEventsUntil(lambda: panel.ui.checkButton.enabled)
    assert panel.ui.computerStatusLabel.text == "✓ 8.0 GB of memory are free."


def test_what_prevents_a_segmentation_stands_before_what_is_well(panel: Any) -> None:
    from BrainTumorSegLib.client.process import Event

    findings = [
        {"name": name, "status": status, "message": name, "remedy": ""}
        for name, status in (("python", "ok"), ("memory", "warning"), ("torch", "problem"))
    ]
    panel.controller._computerPanel._onExamined(Event("1", "done", {"findings": findings}))
    assert panel.ui.computerStatusLabel.text == "✗ torch\n! memory\n✓ python"


def test_diagnostics_name_the_failure_and_no_patient(
    shell: Any, panel: Any, click: Any, study: dict[str, Any], engine: Any
) -> None:
    study["FLAIR"].SetName("Mueller Anna FLAIR")
    engine(fail_at="segment", stage_s=0)
    panel.ui.guessButton.click()
    click(panel)
    panel.ui.copyDiagnosticsButton.click()
    text = shell.app.clipboard().text()
    assert "Failure (memory): There is not enough memory for this study." in text
    assert "Stage: segment" in text
    assert "Mueller" not in text
