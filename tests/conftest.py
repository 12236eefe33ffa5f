"""Fixtures for every test folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Before torch is loaded, here and in the engine's processes: as many threads as cores, not as many for each worker.
    _threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(_threads))


@pytest.fixture
def scene() -> Iterator[Any]:
    """A new real MRML scene, also as slicer.mrmlScene; skips where slicer-core is not installed."""
    pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")
    from slicer_core_scene import makeScene

    made = makeScene()
    yield made
    made.Clear(1)
