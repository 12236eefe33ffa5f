"""The extension as Slicer installs it, with a small real model, and disks that are full or refuse: for fault tests."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MODEL = "bright"
MODEL_FILE = f"{MODEL}-1.0.0.zip"


def install(source: Path, folder: Path) -> Path:
    """Copy the module without any source checkout around it; its index knows one model. Returns the module's folder."""
    from bundles import CHANNELS_2D, bright_flair_network, write_bundle

    module = folder / "BrainTumorSeg"
    shutil.copytree(source, module, ignore=shutil.ignore_patterns("__pycache__", "Testing"))
    (folder / "mirror").mkdir()
    bundle = write_bundle(
        folder / "mirror" / MODEL_FILE,
        bright_flair_network(),
        network="ResUNet",
        arguments={"input_channels": 3},
        channels=CHANNELS_2D,
    )
    entry = {
        "name": MODEL,
        "version": "1.0.0",
        "task": "segmentation",
        "file": MODEL_FILE,
        "sha256": hashlib.sha256(bundle.read_bytes()).hexdigest(),
        "size_bytes": bundle.stat().st_size,
        "licence": "CC-BY-NC-SA-4.0",
        "title": "Bright FLAIR",
        "description": "Says tumour where FLAIR is bright.",
        "classifier": None,
        "recommendation": {"threshold": 0.5, "gate": 0.1, "min_volume_ml": 0.25},
        "metrics": {},
        "default": True,
    }
    index = json.dumps({"schema": 1, "models": [entry]})
    (module / "Resources" / "Models.json").write_text(index, encoding="utf-8")
    return module


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A real file system in memory at ``folder``, which is made; skips the test where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk needs root on Linux")
    try:
        yield folder
    finally:
        # Lazily: a process that is just ending may still have a file open there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int) -> Path:
    """Fill a disk but for that many bytes. Returns the file that takes the room."""
    filler = folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(folder).free - leave_bytes))
    return filler
