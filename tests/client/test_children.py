"""The child processes for models and packages, run as children and through their main function."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from BrainTumorSegLib.client import installChild, modelChild
from BrainTumorSegLib.client.process import WorkerProcess
from BrainTumorSegLib.client.slicerPython import childEnvironment
from BrainTumorSegLib.engine.models.index import parse_index
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.jobs.activity import ChildWork, State

FILES = {"net": b"weights of the network " * 4000, "slices": b"weights of the classifier " * 3000}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two models, and a store that downloads from it into an empty home."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    entries = []
    for name, content in FILES.items():
        (folder / f"{name}-1.0.0.zip").write_bytes(content)
        entries.append(
            {
                "name": name,
                "version": "1.0.0",
                "task": "segmentation" if name == "net" else "classification",
                "file": f"{name}-1.0.0.zip",
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
                "licence": "CC-BY-NC-SA-4.0",
                "title": name,
                "description": name,
                "classifier": "slices" if name == "net" else None,
                "recommendation": {"threshold": 0.5, "gate": 0.1, "min_volume_ml": 0.25},
                "metrics": {},
                "default": True,
            }
        )
    store = ModelStore(parse_index({"schema": 1, "models": entries}), tmp_path / "home", None, str(folder))
    monkeypatch.setattr(ModelStore, "default", classmethod(lambda _cls: store))
    return folder


def ask(*arguments: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    modelChild.main(["models", *arguments], events.append)
    return events


def states(event: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in event["models"]}


def test_a_download_brings_the_classifier_too_and_reports_the_whole(mirror: Path) -> None:
    *progress, done = ask("download", "net")
    fractions = [event["fraction"] for event in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert states(done) == {"net": "installed", "slices": "installed"}


def test_a_model_is_imported_verified_and_removed(mirror: Path) -> None:
    assert states(ask("import", str(mirror / "net-1.0.0.zip"))[-1])["net"] == "installed"
    assert "whole" in ask("verify", "net")[-1]["message"]
    assert states(ask("remove", "net")[-1])["net"] == "not installed"


def test_remove_all_leaves_nothing_on_the_disk(mirror: Path, tmp_path: Path) -> None:
    ask("download", "net")
    ask("removeAll")
    assert not (tmp_path / "home" / "models").exists()
    assert ask("removeAll")[-1]["message"] == "No downloaded model was on this computer."


def test_a_foreign_file_is_refused_in_words(mirror: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "other.zip"
    foreign.write_bytes(b"something else")
    event = ask("import", str(foreign))[-1]
    assert (event["event"], event["kind"]) == ("error", "model")
    assert event["action"]


def follow(work: ChildWork) -> ChildWork:
    end = time.monotonic() + 60
    while not work.isFinished and time.monotonic() < end:
        work.poll()
        time.sleep(0.01)
    return work


def make(arguments: list[str]) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-m", *arguments], childEnvironment({"PATH": "/usr/bin:/bin"}))


def test_a_child_that_dies_is_a_failure_with_its_last_words() -> None:
    work = follow(ChildWork(make, "list", ["no_such_module"]))
    assert work.state is State.FAILED
    assert "No module named no_such_module" in str(work.failure)


def test_a_cancelled_child_is_cancelled_and_not_failed() -> None:
    work = ChildWork(make, "download", ["http.server", "0"])
    work.cancel()
    assert (work.state, work.failure) == (State.CANCELLED, None)


def test_pip_that_finds_no_wheel_says_so(tmp_path: Path) -> None:
    arguments = ["pip", "install", "--no-index", "--find-links", str(tmp_path), "no-such-package"]
    work = follow(ChildWork.installing(make, arguments))
    assert work.state is State.FAILED
    assert work.failure is not None
    assert "no-such-package" in work.failure.message


def test_the_install_child_answers_for_a_command_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert installChild.main(["1", "pip", "--version"]) == 0
    assert '"event": "done"' in capsys.readouterr().out


def test_the_model_child_needs_no_package_beyond_the_requirements() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "BrainTumorSegLib.client.modelChild", "models", "list"],
        env=childEnvironment({"PATH": "/usr/bin:/bin"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.startswith('{"id": "models", "event": ')
