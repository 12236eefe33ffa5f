"""The worker's requests use the store of models that the worker was started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from BrainTumorSegLib.engine.models.index import parse_index
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service.requests import WorkerCommands
from model_server import make_entry


def test_doctor_looks_at_the_models_that_the_worker_was_given(tmp_path: Path) -> None:
    index = parse_index({"schema": 1, "models": [make_entry("own", b"weights", default=True)]})
    (tmp_path / "own-1.0.0.zip").write_bytes(b"weights")
    store = ModelStore(index, tmp_path / "home", tmp_path)
    sent: list[tuple[str, dict[str, Any]]] = []
    work = WorkerCommands(lambda: store).table()["doctor"]
    work({}, lambda event, **content: sent.append((event, content)), lambda: False)
    [(event, content)] = sent
    assert event == "done"
    finding = next(each for each in content["findings"] if each["name"] == "weights own")
    assert finding["status"] == "ok"
