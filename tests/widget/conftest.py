"""The module's panel in the shell, over a real scene with a study and a real child process."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")
pytest.importorskip("PySide6", reason="needs Qt: pip install PySide6-Essentials")

REPOSITORY = Path(__file__).parents[2]
MODULE_PATH = REPOSITORY / "BrainTumorSeg" / "BrainTumorSeg.py"
SLOW_ENGINE = Path(__file__).with_name("slow_engine.py")


@pytest.fixture(scope="session")
def application() -> Iterator[Any]:
    """The one application of this test session."""
    from qt_shell import Shell

    with tempfile.TemporaryDirectory() as folder:
        yield Shell(MODULE_PATH, folder)


@pytest.fixture
def shell(application: Any, scene: Any) -> Any:
    """The application as after a start, with an empty scene."""
    application.begin()
    return application


@pytest.fixture
def module(shell: Any) -> Any:
    """The module's file, imported as Slicer does."""
    import BrainTumorSeg

    return BrainTumorSeg


@pytest.fixture
def panel(shell: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The opened module, its engine replaced by the slow one, its packages and models taken as installed."""
    monkeypatch.setattr(module, "engineCommand", lambda *_: [sys.executable, str(SLOW_ENGINE)])
    monkeypatch.setattr(shell.app, "testingEnabled", lambda: True)
    monkeypatch.delenv("SLOW_ENGINE", raising=False)
    panel = shell.open(module.BrainTumorSegWidget)
    panel.controller._areModelsKnown = True
    yield panel
    panel.cleanup()
    shell.parent.deleteLater()


@pytest.fixture
def study(scene: Any) -> dict[str, Any]:
    """FLAIR, T1 and T1 with contrast of a ball, as volume nodes."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "scene"))
    from phantomScene import addVolume

    return {name: addVolume(scene, name) for name in ("FLAIR", "T1", "T1 post contrast")}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``engine(stage_s=1, die_at="segment")`` makes the next engine process so."""
    return lambda **wanted: monkeypatch.setenv("SLOW_ENGINE", json.dumps(wanted))
