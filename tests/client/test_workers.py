"""How a machine is shared among workers, and what becomes of one that takes more than its share."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from BrainTumorSegLib.client import workers as module
from BrainTumorSegLib.client.workers import GIGABYTE, LocalWorkers, Share, share_of
from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.engine.service.cohort.results import clear_leftovers
from BrainTumorSegLib.engine.service.cohort.task import StudyTask
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.roles import Role
from cohorts import WORKER, engine_environment, write_volume


@pytest.mark.parametrize(
    ("asked", "cores", "free_gb", "count", "threads"),
    [
        (None, 2, 20, 2, 1),
        (None, 16, 128, 16, 1),
        (None, 16, 8, 4, 4),
        (None, 4, 1, 1, 4),
        (3, 8, 64, 3, 2),
        (9, 4, 64, 9, 1),
    ],
)
def test_workers_share_cores_and_memory(asked: int | None, cores: int, free_gb: int, count: int, threads: int) -> None:
    share = share_of(asked, cores, free_gb * GIGABYTE)
    assert (share.count, share.threads_each) == (count, threads)
    assert share.bytes_each * share.count <= round(0.9 * free_gb * GIGABYTE)


def test_a_worker_beyond_its_share_of_memory_is_ended_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "this_machine", lambda _: Share(1, 1, GIGABYTE // 100))
    workers = LocalWorkers(WORKER, engine_environment(stage_s=1))
    workers.start(RunSettings(), lambda: False)
    flair = write_volume(tmp_path / "flair.nii.gz")
    workers.submit(StudyTask("anna", tmp_path, "b", "k", {Role.FLAIR: flair}))
    ended = []
    deadline = time.monotonic() + 60
    while not ended and time.monotonic() < deadline:
        ended = workers.poll(0.1)
    workers.stop()
    clear_leftovers(tmp_path)
    assert not list(tmp_path.glob(".braintumorseg-*"))
    assert (ended[0].name, ended[0].kind) == ("anna", "memory")
    assert "0.0 GB of memory that each of 1 workers may take" in ended[0].message


def test_one_study_is_read_and_written_while_another_is_computed(tmp_path: Path) -> None:
    workers = LocalWorkers(WORKER, engine_environment(stage_s=3, only="slow"), count=2)
    workers.start(RunSettings(), lambda: False)
    for name in ("slow", "quick"):
        flair = write_volume(tmp_path / name / "flair.nii.gz")
        workers.submit(StudyTask(f"{name}_result", tmp_path, "b", "k", {Role.FLAIR: flair}))
    ended = []
    deadline = time.monotonic() + 60
    while not ended and time.monotonic() < deadline:
        ended = workers.poll(0.1)
    workers.stop()
    assert [each.name for each in ended] == ["quick_result"]
    assert (tmp_path / "quick_result" / "segmentation.seg.nrrd").is_file()


def test_a_program_that_is_no_worker_is_told_at_the_start() -> None:
    workers = LocalWorkers([sys.executable, "-c", "raise SystemExit('no engine here')"], count=1)
    with pytest.raises(BrainTumorSegError, match="ended unexpectedly.*no engine here"):
        workers.start(RunSettings(), lambda: False)
    workers.stop()
