"""The examples for Slicer's Python console in docs/python_api.md, run in order in the shell."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slicer

from cohorts import write_volume
from documentation import DOCS, code_blocks

SECTION = "In Slicer's Python console"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for study in ("patient1", "cohort/anna", "cohort/bert"):
        for name in ("flair", "t1", "t1c"):
            write_volume(tmp_path / study / f"{name}.nii.gz")
    return tmp_path


def load_volume(path: str) -> Any:
    """slicer.util.loadVolume, whose file readers slicer-core lacks."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(path)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", Path(path).name)
    assert storage.ReadData(node)
    return node


@pytest.fixture
def logic(shell: Any, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What slicer.util.getModuleLogic gives, its engine a threshold instead of a network, as in slow_engine.py."""
    monkeypatch.setattr(
        module, "engineCommand", lambda *_: [sys.executable, str(Path(__file__).with_name("slow_engine.py"))]
    )
    monkeypatch.setenv("SLOW_ENGINE", '{"stage_s": 0.02}')
    monkeypatch.setenv("BRAINTUMORSEG_HOME", str(tmp_path / "home"))
    logic = module.BrainTumorSegLogic()
    monkeypatch.setattr(slicer.util, "getModuleLogic", lambda _name: logic)
    monkeypatch.setattr(slicer.util, "loadVolume", load_volume, raising=False)
    yield logic
    logic.shutdown()


def test_the_console_examples_run_in_order(logic: Any, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [
        each for each in code_blocks(DOCS / "python_api.md") if (each.section, each.language) == (SECTION, "python")
    ]
    assert len(blocks) >= 5
    names: dict[str, Any] = {"slicer": slicer}
    for block in blocks:
        text = block.text.replace('"/data/', f'"{data.as_posix()}/')
        # Padded, so that a failure names the line of the page.
        exec(compile("\n" * block.line + text, "docs/python_api.md", "exec"), names)
    said = capsys.readouterr().out
    assert "Tumour found" in said
    assert "State.CANCELLED" in said
    assert "mL changed" in said
    assert "(12, 32, 32) 1.0" in said
    assert "The threshold is 1.5, but must lie between 0 and 1." in said
    assert [(row["study"], row["status"]) for row in names["rows"]] == [("anna", "done"), ("bert", "done")]
