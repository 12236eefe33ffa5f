"""Fixtures for every test folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def scene() -> Iterator[Any]:
    """A new real MRML scene, also as slicer.mrmlScene; skips where slicer-core is not installed."""
    pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")
    from slicer_core_scene import makeScene

    made = makeScene()
    yield made
    made.Clear(1)
