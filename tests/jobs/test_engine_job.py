"""A job of the engine's process, step by step: every way it can end, and what it leaves behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from BrainTumorSegLib.client.process import WorkerProcess
from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.jobs.activity import Failure, State
from BrainTumorSegLib.jobs.engineJob import EngineJob


@pytest.fixture
def session() -> Iterator[EngineSession]:
    """Over the real worker."""
    session = EngineSession(lambda: WorkerProcess([sys.executable, "-m", "BrainTumorSegLib", "worker"]))
    yield session
    session.stop()


class Job(EngineJob):
    """Does the steps of a test, each given the job."""

    def __init__(self, session: EngineSession, folder: Path, *steps: Callable[[Any], None]) -> None:
        super().__init__(session, str(folder))
        self.said: list[Any] = []
        self._todo = list(steps)

    def _begin(self) -> None:
        self._todo.pop(0)(self)
        if self._todo:
            self._then(self._begin)


def run(job: EngineJob, session: EngineSession) -> None:
    end = time.monotonic() + 60
    while not job.isFinished and time.monotonic() < end:
        session.poll()
        job.poll()
        time.sleep(0.005)


def test_each_step_has_a_turn_and_the_last_one_ends_it(session: EngineSession, tmp_path: Path) -> None:
    job = Job(session, tmp_path, *(lambda job, n=n: job.said.append(n) for n in range(3)))
    job.poll()
    assert job.said == [0]
    run(job, session)
    assert (job.said, job.state) == ([0, 1, 2], State.DONE)


def test_its_folder_goes_with_it(session: EngineSession, tmp_path: Path) -> None:
    def write(job: Any) -> None:
        (job.folder / "patient.nrrd").write_bytes(b"voxels")
        assert list(tmp_path.iterdir()) == [job.folder]

    run(Job(session, tmp_path, write), session)
    assert list(tmp_path.iterdir()) == []


def compare(job: Any, otherwise: Callable[[Failure], None] | None = None) -> None:
    request = {"command": "compare", "first": "gone.nrrd", "second": "gone.nrrd"}
    job._ask(request, job.said.append, otherwise)


def test_a_refusal_of_the_engine_ends_it(session: EngineSession, tmp_path: Path) -> None:
    job = Job(session, tmp_path, compare)
    run(job, session)
    assert job.state is State.FAILED
    with pytest.raises(InputError, match="gone.nrrd does not exist"):
        job.raiseIfFailed()


def test_a_refusal_that_is_expected_does_not(session: EngineSession, tmp_path: Path) -> None:
    job = Job(session, tmp_path, lambda job: compare(job, job.said.append))
    run(job, session)
    assert job.state is State.DONE
    assert "does not exist" in job.said[0].message


def test_a_defect_ends_it_in_words(session: EngineSession, tmp_path: Path) -> None:
    job = Job(session, tmp_path, lambda job: job.said[0])
    run(job, session)
    assert job.failure is not None
    assert job.failure.message == "Something unforeseen went wrong (IndexError)."


@pytest.mark.parametrize("polls", [0, 1])
def test_cancelled_between_steps_it_ends_at_once(session: EngineSession, tmp_path: Path, polls: int) -> None:
    job = Job(session, tmp_path, lambda job: job.folder, lambda job: job.said.append("too far"))
    for _ in range(polls):
        job.poll()
    job.cancel()
    assert job.state is State.CANCELLED
    run(job, session)
    assert job.said == []
    assert list(tmp_path.iterdir()) == []
