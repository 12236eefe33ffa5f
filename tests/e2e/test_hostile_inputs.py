"""Broken and hostile inputs through one worker: each is answered in words, none ends it or calls itself a defect."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from BrainTumorSegLib.client.process import Event, WorkerProcess
from cohorts import WORKER, engine_environment
from hostile_inputs import hostile_inputs

ANSWER_S = 60.0


def answer_of(worker: WorkerProcess, flair: Path, output: Path) -> Event:
    worker.submit({"command": "segment", "flair": str(flair), "output": str(output)})
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        for event in worker.poll():
            if event.is_final:
                return event
        time.sleep(0.002)
    pytest.fail(f"no answer for {flair.name!r} in {ANSWER_S} s")


def test_every_hostile_input_is_answered_in_words_by_one_worker(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    worker = WorkerProcess(WORKER, engine_environment())
    worker.start()
    try:
        pid = worker.pid
        wrong = []
        for number, (kind, path) in enumerate(hostile_inputs(folder, seed=1, flips=6)):
            event = answer_of(worker, path, tmp_path / f"{number}.seg.nrrd")
            if event.name == "error" and event.content["kind"] in ("defect", "crashed"):
                wrong.append((kind, path.name, event.content["message"]))
            elif event.name == "error":
                assert event.content["action"], path
            if not worker.is_running:
                worker = WorkerProcess(WORKER, engine_environment())
                worker.start()
        assert wrong == []
        assert worker.pid == pid
    finally:
        worker.kill()
