"""A batch on a real Dask cluster of several processes, on its bad days."""

from __future__ import annotations

import csv
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs Dask: pip install distributed")

from BrainTumorSegLib.engine.errors import InputError, ModelError
from BrainTumorSegLib.engine.service.cohort import cluster as module
from BrainTumorSegLib.engine.service.cohort.batch import Batch, Outcome, Step, run_batch
from BrainTumorSegLib.engine.service.cohort.cluster import ClusterWorkers
from BrainTumorSegLib.engine.service.cohort.find import find_studies
from BrainTumorSegLib.engine.settings import RunSettings
from cohorts import write_cohort
from dask_cluster import Cluster, SlowEngine

PATIENT = "DOE_JANE_19620304"
NAMES = [f"{PATIENT}_{number}" for number in range(6)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as started:
        yield started


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    write_cohort(tmp_path / "in", NAMES)
    return Batch(find_studies(tmp_path / "in"), tmp_path / "out", RunSettings())


def run(batch: Batch, cluster: Cluster, on_first_end: object = None) -> Outcome:
    """Run the batch; ``on_first_end`` is called when the first study has ended."""
    seen: list[Step] = []

    def on_step(step: Step) -> None:
        if step.row is not None and not seen:
            seen.append(step)
            if callable(on_first_end):
                on_first_end()

    return run_batch(batch, ClusterWorkers(cluster.address, SlowEngine()), on_step, lambda: False)


def rows_of(batch: Batch) -> list[tuple[str, str]]:
    with (batch.folder / "summary.csv").open(newline="") as stream:
        return [(row["study"], row["volume_ml"]) for row in csv.DictReader(stream)]


EVERY_ROW = [(name, "38.400") for name in NAMES]


def test_a_worker_killed_in_a_study_and_one_without_the_model_lose_nothing(cluster: Cluster, batch: Batch) -> None:
    cluster.start_worker(stage_s=0.05)
    cluster.start_worker(load_fails=True)
    victim = cluster.start_worker(stage_s=2)

    def kill() -> None:
        victim.kill()
        victim.wait()

    outcome = run(batch, cluster, kill)
    assert (outcome.done, outcome.failed) == (6, 0)
    assert rows_of(batch) == EVERY_ROW
    assert not list(batch.folder.glob(".braintumorseg-*-*"))
    assert PATIENT not in (batch.folder.parent / "cluster.log").read_text()


def test_a_study_that_kills_its_workers_is_told_and_named_in_no_log(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    with Cluster(tmp_path) as cluster:
        for _ in range(3):
            cluster.start_worker(die_at="segment", only=NAMES[2])
        outcome = run(batch, cluster)
    assert (outcome.done, outcome.failed) == (5, 1)
    with (batch.folder / "summary.csv").open(newline="") as stream:
        failed = {row["study"]: row["message"] for row in csv.DictReader(stream) if row["status"] == "failed"}
    assert failed == {NAMES[2]: "The workers that were at this study died (KilledWorker)."}
    assert PATIENT not in (tmp_path / "cluster.log").read_text()


def test_a_slow_worker_delays_only_its_own_study(cluster: Cluster, batch: Batch) -> None:
    by_slow = batch.folder.parent / "slow.txt"
    cluster.start_worker(stage_s=0.01)
    cluster.start_worker(stage_s=0.7, done=str(by_slow))
    run(batch, cluster)
    assert rows_of(batch) == EVERY_ROW
    assert not by_slow.exists() or len(by_slow.read_text().split()) <= 2


def test_a_cluster_without_the_model_stops_the_batch_with_one_message(cluster: Cluster, batch: Batch) -> None:
    cluster.start_worker(load_fails=True)
    with pytest.raises(
        ModelError, match=r"No worker of the cluster can use the model: Model lgg-2 is not on.*Download"
    ):
        run(batch, cluster)
    assert rows_of(batch) == []


def kill_and_restart(cluster: Cluster) -> None:
    assert cluster.scheduler is not None
    cluster.scheduler.kill()
    cluster.scheduler.wait()
    cluster.start_scheduler()
    cluster.start_worker(stage_s=0.01)


def test_a_scheduler_that_is_started_again_loses_nothing(cluster: Cluster, batch: Batch) -> None:
    """It dies while the batch waits for a study."""
    cluster.start_worker(stage_s=0.1)
    outcome = run(batch, cluster, lambda: threading.Thread(target=kill_and_restart, args=[cluster]).start())
    assert (outcome.done, outcome.failed) == (6, 0)
    assert rows_of(batch) == EVERY_ROW


def test_a_scheduler_that_dies_of_a_question_loses_nothing(
    cluster: Cluster, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the question for the workers, hangs, and dies before it answers."""
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.0)
    cluster.start_worker(stage_s=0.01)

    def hang_and_die() -> None:
        assert cluster.scheduler is not None
        cluster.scheduler.send_signal(signal.SIGSTOP)
        threading.Timer(0.5, kill_and_restart, [cluster]).start()

    outcome = run(batch, cluster, hang_and_die)
    assert (outcome.done, outcome.failed) == (6, 0)
    assert rows_of(batch) == EVERY_ROW


def test_a_scheduler_that_is_not_there_is_told(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun_s = time.monotonic()
    with pytest.raises(InputError, match=rf"scheduler tcp://127.0.0.1:{port} can't be reached\. Check its address"):
        run_batch(batch, ClusterWorkers(f"tcp://127.0.0.1:{port}", SlowEngine()), lambda _: None, lambda: False)
    assert time.monotonic() - begun_s < 20
