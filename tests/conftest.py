"""Fixtures for every test folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Before torch is loaded, here and in the engine's processes: as many threads as cores, not as many for each worker.
    _threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(_threads))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU")


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """This process and what it starts heed Ctrl-C, which a shell's background jobs ignore, and SIGHUP despite nohup."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def scene() -> Iterator[Any]:
    """A new real MRML scene, also as slicer.mrmlScene; skips where slicer-core is not installed."""
    pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")
    from slicer_core_scene import makeScene

    made = makeScene()
    yield made
    made.Clear(1)
