"""The small parts of a job, one by one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from BrainTumorSegLib.client.slicerPython import (
    MODULE_FOLDER,
    baseEnvironment,
    childEnvironment,
    engineCommand,
    pythonExecutable,
)
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.widget.timeLeft import TimeLeft


def test_time_left_follows_the_pace() -> None:
    clock = TimeLeft()
    assert clock.update(0.2, 100.0) is None
    assert clock.update(0.22, 101.0) is None
    assert clock.update(0.6, 104.0) == pytest.approx(4.0)


def test_the_child_finds_this_package_and_the_parent_is_unchanged() -> None:
    before = dict(os.environ)
    environment = childEnvironment({"PYTHONPATH": "/other"}, "https://files.hospital.org")
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(MODULE_FOLDER), "/other"]
    assert environment["BRAINTUMORSEG_MIRROR"] == "https://files.hospital.org"
    assert dict(os.environ) == before


def test_slicers_own_python_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "PythonSlicer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engineCommand("worker") == [str(program), "-m", "BrainTumorSegLib", "worker"]


def touched(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_on_windows_the_launcher_that_keeps_its_input_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path / "PythonSlicer")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(pythonExecutable(isWindows=True)).name == "PythonSlicer"  # a Slicer that has no other
    real = touched(tmp_path / "python-real.exe")
    assert pythonExecutable(isWindows=True) == str(real)
    assert Path(pythonExecutable(isWindows=False)).name == "PythonSlicer"


def test_a_python_without_its_launcher_gets_what_slicers_own_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME_OF_SLICER", "set by the launcher")
    before = {"PATH": "/usr/bin"}
    assert baseEnvironment("/opt/Slicer/bin/PythonSlicer", lambda: before) == before
    direct = baseEnvironment("C/Slicer/bin/python-real.exe", lambda: before)
    assert direct["PYTHONHOME_OF_SLICER"] == "set by the launcher"


def test_the_application_itself_is_never_taken_for_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/opt/Slicer/bin/SlicerApp-real")
    with pytest.raises(InputError, match=r"PythonSlicer.*was not found.*Install Slicer again"):
        pythonExecutable()
