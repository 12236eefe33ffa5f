"""Cohorts of tiny volumes, and a batch over them in a process of its own, with the tests' slow engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.client.process import Event, WorkerProcess

REPOSITORY = Path(__file__).parents[1]
SLOW_ENGINE = REPOSITORY / "tests" / "widget" / "slow_engine.py"
WORKER = [sys.executable, str(SLOW_ENGINE)]
ANSWER_S = 120.0


def write_volume(path: Path, seed: int = 7) -> Path:
    """A volume of 12 x 32 x 32 voxels with a bright box: 38.4 mL for the slow engine."""
    rng = np.random.default_rng(seed)
    voxels = rng.uniform(0, 300, (12, 32, 32)).astype(np.float32)
    voxels[5:8, 10:20, 10:20] = 1000
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((4, 4, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_cohort(folder: Path, names: Iterable[str]) -> list[str]:
    """One FLAIR a study; the names, sorted."""
    for seed, name in enumerate(names):
        write_volume(folder / name / "flair.nii.gz", seed)
    return sorted(path.name for path in folder.iterdir())


def engine_environment(**slow_engine: Any) -> dict[str, str]:
    """What a batch's process and its workers start in."""
    python_path = os.pathsep.join(str(REPOSITORY / part) for part in ("BrainTumorSeg", "tests"))
    return {**os.environ, "PYTHONPATH": python_path, "SLOW_ENGINE": json.dumps({"stage_s": 0, **slow_engine})}


def start_batch(
    inputs: Path,
    output: Path,
    environment: dict[str, str],
    workers: int = 2,
    redo: bool = False,
    stderr: BinaryIO | None = None,
) -> subprocess.Popen[str]:
    """A batch in a process of its own, as Slicer starts it; the end of its stdin cancels it."""
    order = {
        "inputs": str(inputs),
        "output": str(output),
        "settings": {},
        "with_probability": False,
        "redo": redo,
        "workers": workers,
        "worker": WORKER,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "BrainTumorSegLib.client.batchChild", "1", json.dumps(order)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def last_event(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the batch's end and give its last event. Its stdin stays open until then."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    process.communicate(timeout=60)
    return json.loads(lines[-1])


class Patient:
    """A worker that is asked one thing after another; a new one where it ended."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command, self._environment = command, environment
        self.ended = 0
        self.worker = self._start()

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self._command, self._environment)
        worker.start()
        return worker

    def ask(self, request: dict[str, object], cancel_after_s: float | None = None) -> Event | None:
        """The last event of the answer, None where none came in time."""
        identifier = self.worker.submit(request)
        begun_s = time.monotonic()
        is_cancelled = cancel_after_s is None
        while (passed_s := time.monotonic() - begun_s) < ANSWER_S:
            if not is_cancelled and passed_s >= (cancel_after_s or 0):
                self.worker.cancel(identifier)
                is_cancelled = True
            for event in self.worker.poll():
                if event.is_final:
                    if not self.worker.is_running:
                        self.ended += 1
                        self.worker = self._start()
                    return event
            time.sleep(0.001)
        self.worker.kill()
        self.worker = self._start()
        return None
