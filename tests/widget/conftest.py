"""The module's panel in the shell, over a real scene with a study and a real child process."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")
pytest.importorskip("PySide6", reason="needs Qt: pip install PySide6-Essentials")

REPOSITORY = Path(__file__).parents[2]
MODULE_PATH = REPOSITORY / "BrainTumorSeg" / "BrainTumorSeg.py"
SLOW_ENGINE = Path(__file__).with_name("slow_engine.py")
# Pytest's importlib mode puts no test folder on the path.
sys.path[:0] = [str(Path(__file__).parent), str(REPOSITORY / "tests" / "scene")]


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
def slow_engine(shell: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow engine instead of the real one, its packages taken as installed."""
    monkeypatch.setattr(module, "engineCommand", lambda *_: [sys.executable, str(SLOW_ENGINE)])
    monkeypatch.setattr("BrainTumorSegLib.widget.computerPanel.missingPackages", lambda _path: ())
    monkeypatch.delenv("SLOW_ENGINE", raising=False)


@pytest.fixture(scope="session")
def engines() -> Iterator[Any]:
    """The engine processes that are kept from test to test."""
    from kept_engine import KeptEngines

    kept = KeptEngines(str(SLOW_ENGINE))
    yield kept
    kept.end()


@pytest.fixture
def kept_engine(module: Any, engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what comes after a segmentation: they share engine processes, which are real all the same."""
    monkeypatch.setattr(module, "WorkerProcess", engines.make)


@pytest.fixture
def panel(shell: Any, module: Any, slow_engine: None) -> Iterator[Any]:
    """The opened module over the slow engine, its models taken as installed."""
    panel = shell.open(module.BrainTumorSegWidget)
    panel.controller._areModelsKnown = True
    yield panel
    panel.cleanup()


@pytest.fixture
def study(scene: Any) -> dict[str, Any]:
    """FLAIR, T1 and T1 with contrast of a ball, as volume nodes."""
    from phantomScene import addVolume

    return {name: addVolume(scene, name) for name in ("FLAIR", "T1", "T1 post contrast")}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``engine(stage_s=1, die_at="segment")`` makes the next engine process so."""
    return lambda **wanted: monkeypatch.setenv("SLOW_ENGINE", json.dumps(wanted))


@pytest.fixture
def segmented(panel: Any, click: Any, study: dict[str, Any], engine: Any) -> Callable[[], Any]:
    """``segmented()`` segments the study by a click and gives the result's node."""

    def segment() -> Any:
        engine(stage_s=0)
        panel.ui.guessButton.click()
        click(panel)
        return panel.ui.segmentationSelector.currentNode()

    return segment


@pytest.fixture
def small_heap() -> Iterator[None]:
    """The collector of garbage passes over what other tests have loaded, torch and MONAI among it: it takes 0.15 s to
    look through these, which are never in Slicer's process.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def click(shell: Any) -> Callable[[Any], None]:
    """``click(panel)`` clicks Segment (or Cancel) and waits for the end."""

    def click_and_wait(panel: Any) -> None:
        panel.ui.segmentButton.click()
        shell.processEventsUntil(lambda: not panel.controller.isRunning)
        shell.app.processEvents()  # the views turn to the result afterwards

    return click_and_wait
