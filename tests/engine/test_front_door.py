"""The engine's front door: what is named there is there, and costs only what is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from BrainTumorSegLib import engine


@pytest.mark.parametrize("name", engine.__all__)
def test_each_name_is_the_one_that_its_file_defines(name: str) -> None:
    found = getattr(engine, name)
    assert found.__name__ == name
    assert found.__module__.startswith("BrainTumorSegLib.engine.")


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'segment_everything'"):
        _ = engine.segment_everything


def test_light_names_load_no_torch() -> None:
    script = (
        "from BrainTumorSegLib.engine import InputError, Result, SegmentSettings, StudyPaths\n"
        "import sys\nprint('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"
