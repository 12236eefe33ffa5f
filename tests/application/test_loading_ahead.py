"""What measures in Slicer's process is loaded in turns that nobody feels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("PySide6", reason="needs Qt: pip install PySide6-Essentials")

# In a fresh process: in this one the packages may be loaded already.
_PROGRAM = """
import importlib, json, sys, threading, time
import qt_shell
from PySide6 import QtCore
sys.modules["qt"] = qt_shell._makeQt()
from BrainTumorSegLib.application.loadingAhead import PACKAGES, LoadingAhead

application = QtCore.QCoreApplication([])
began_s = time.process_time()
ahead = LoadingAhead()
ahead.begin()
ahead.begin()
turns_s = []
while threading.active_count() > 1:
    turn_s = time.process_time()
    application.processEvents()
    turns_s.append(time.process_time() - turn_s)
loaded_s = time.process_time() - began_s
known = set(sys.modules)
for name in PACKAGES + ("BrainTumorSegLib.engine.measurement.sweep",):
    importlib.import_module(name)
new = {name.split(".")[0] for name in set(sys.modules) - known}
print(json.dumps({"longest_s": max(turns_s), "loaded_s": loaded_s, "new": sorted(new)}))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """What the program says."""
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_afterwards_whoever_measures_loads_nothing_but_this_projects_files(loaded: dict[str, Any]) -> None:
    assert loaded["new"] == ["BrainTumorSegLib"]


def test_no_turn_takes_as_long_as_loading_at_once(loaded: dict[str, Any]) -> None:
    assert loaded["longest_s"] < loaded["loaded_s"] / 3
