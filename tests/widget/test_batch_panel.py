"""A folder of studies in the panel: found first, then segmented, then opened by a row."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import slicer
from phantomScene import AXIAL, addVolume


@pytest.fixture
def folder(scene: Any, tmp_path: Path) -> Path:
    """Two studies and one of which it is not clear which file is FLAIR."""
    root = tmp_path / "studies"
    node = addVolume(scene, "made", AXIAL)
    for name in ("anna", "berta", "carla"):
        (root / name).mkdir(parents=True)
        storage = slicer.vtkMRMLNRRDStorageNode()
        storage.SetFileName(str(root / name / "flair.nrrd"))
        assert storage.WriteData(node)
    shutil.copy(root / "carla" / "flair.nrrd", root / "carla" / "flair.nii.gz")
    scene.RemoveNode(node)
    return root


def wait(shell: Any, panel: Any) -> None:
    shell.processEventsUntil(lambda: not panel.controller._batchPanel._isRunning, 120)


def texts(panel: Any) -> list[list[str]]:
    table = panel.ui.batchTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def test_studies_are_found_before_anything_starts_and_open_with_their_results(
    shell: Any, panel: Any, folder: Path, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(stage_s=0)
    assert not panel.ui.batchStartButton.enabled
    shell.choosePath(folder)
    panel.ui.batchInputButton.click()
    wait(shell, panel)
    found = texts(panel)
    assert [row[0] for row in found] == ["anna", "berta", "carla"]
    assert found[0][1:] == ["FLAIR", "to do"]
    assert found[2][1] == "FLAIR (2?)"
    assert found[2][2] != "to do", "why it will be left out"
    assert panel.ui.batchStatusLabel.text == "3 studies found, 1 of them will be left out."
    panel.ui.batchStartButton.click()
    assert panel.ui.batchStartButton.text == "Cancel"
    wait(shell, panel)
    assert re.fullmatch(r"\d+\.\d\d mL, lesions: 1", texts(panel)[0][2])
    assert panel.ui.batchStatusLabel.text.startswith("2 done, 1 failed.")
    opened: list[str] = []
    shown: dict[str, bool] = {}

    def loadVolume(path: str, properties: dict[str, Any]) -> None:
        opened.append(path)
        shown[Path(path).name] = properties["show"]

    monkeypatch.setattr(slicer.util, "loadVolume", loadVolume, raising=False)
    monkeypatch.setattr(slicer.util, "loadSegmentation", opened.append, raising=False)
    panel.ui.batchTable.cellDoubleClicked.emit(1, 0)
    shell.processEventsUntil(lambda: len(opened) == 2)
    assert [Path(each).name for each in opened] == ["flair.nrrd", "segmentation.seg.nrrd"]
    assert all(Path(each).is_file() and "berta" in each for each in opened)
    assert shown == {"flair.nrrd": True}
    panel.ui.batchTable.cellDoubleClicked.emit(2, 0)
    assert panel.ui.batchStatusLabel.text == "This study has no result yet."


def test_a_row_opens_a_file_in_each_turn_and_nothing_after_one_that_fails(
    shell: Any, panel: Any, folder: Path, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(stage_s=0)
    shell.choosePath(folder)
    panel.ui.batchInputButton.click()
    wait(shell, panel)
    panel.ui.batchStartButton.click()
    wait(shell, panel)
    opened: list[str] = []

    def loadVolume(path: str, properties: dict[str, Any]) -> None:
        opened.append(path)

    def fail(path: str, properties: dict[str, Any]) -> None:
        opened.append(path)
        raise RuntimeError(path)

    monkeypatch.setattr(slicer.util, "loadVolume", loadVolume, raising=False)
    monkeypatch.setattr(slicer.util, "loadSegmentation", opened.append, raising=False)
    panel.ui.batchTable.cellDoubleClicked.emit(1, 0)
    assert not opened, "the click itself is answered at once"
    seen = []
    shell.processEventsUntil(lambda: seen.append(len(opened)) or len(opened) == 2)
    assert 1 in seen, "the application went on between the files"
    monkeypatch.setattr(slicer.util, "loadVolume", fail, raising=False)
    panel.ui.batchTable.cellDoubleClicked.emit(0, 0)
    turns = iter(range(50))
    shell.processEventsUntil(lambda: next(turns, None) is None)
    assert len(opened) == 3
    assert "anna" in opened[-1]


def test_a_folder_without_studies_says_so(shell: Any, panel: Any, tmp_path: Path) -> None:
    shell.choosePath(tmp_path)
    panel.ui.batchInputButton.click()
    wait(shell, panel)
    assert not panel.ui.batchStartButton.enabled
    assert "stud" in panel.ui.batchStatusLabel.text
