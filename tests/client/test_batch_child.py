"""A batch in processes: kills at random moments, cancels, workers that die, hang, or do not start."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from cohorts import WORKER, Patient, engine_environment, last_event, start_batch, write_cohort, write_volume
from jumping_clock import JumpingClock
from pace import pace
from planted import IN_HEADERS, IN_PATHS, files_with, write_planted

DAY_S = 24 * 3600
NAMES = [f"s{number:02d}" for number in range(14)]


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "summary.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def leftovers(output: Path) -> list[str]:
    return [path.name for path in output.iterdir() if path.name.startswith(".") and not path.name.endswith("lock")]


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX's")
def test_no_study_is_lost_or_done_twice_by_kills_at_random_moments(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", NAMES)
    (tmp_path / "in" / "broken").mkdir()
    (tmp_path / "in" / "broken" / "flair.nii.gz").write_text("no image")
    done = tmp_path / "done.txt"
    environment = engine_environment(stage_s=0.02, done=str(done))
    chance = random.Random(29)
    for _ in range(8):
        process = start_batch(tmp_path / "in", tmp_path / "out", environment)
        time.sleep(chance.uniform(0.1, 3.0))
        process.kill()
        process.communicate()
    assert last_event(start_batch(tmp_path / "in", tmp_path / "out", environment))["event"] == "done"
    rows = {row["study"]: row for row in rows_of(tmp_path / "out")}
    assert len(rows) == len(rows_of(tmp_path / "out")) == len(NAMES) + 1
    assert {name for name, row in rows.items() if row["status"] == "failed"} == {"broken"}
    assert all(row["volume_ml"] == "38.400" for name, row in rows.items() if name != "broken")
    assert Counter(done.read_text().split()) == Counter(NAMES)
    for name in NAMES:
        folder = tmp_path / "out" / name
        assert sorted(p.name for p in folder.iterdir()) == [
            "report.json",
            "segmentation.seg.nrrd",
            "study.json",
            "thumbnail.jpg",
        ]
        json.loads((folder / "report.json").read_text())
    assert leftovers(tmp_path / "out") == []


def test_a_cancel_ends_within_three_seconds_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", NAMES[:4])
    process = start_batch(tmp_path / "in", tmp_path / "out", engine_environment(stage_s=2, deaf=True))
    assert process.stdout is not None
    assert process.stdin is not None
    assert "progress" in process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    begun_s = time.monotonic()
    process.stdin.close()
    process.wait(timeout=60)
    passed_s = time.monotonic() - begun_s
    event = json.loads(process.stdout.read().splitlines()[-1])
    assert event["kind"] == "cancelled"
    assert passed_s < 3.0 * pace()
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert rows_of(tmp_path / "out") == []
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [({"die_at": "segment"}, "ended unexpectedly (exit code 9)"), ({"fail_at": "segment"}, "not enough memory")],
    ids=["dies", "runs out of memory"],
)
def test_a_worker_that_dies_fails_its_study_alone(tmp_path: Path, wanted: dict[str, Any], said: str) -> None:
    write_cohort(tmp_path / "in", NAMES[:3])
    environment = engine_environment(**wanted, only=NAMES[1])
    assert last_event(start_batch(tmp_path / "in", tmp_path / "out", environment))["event"] == "done"
    rows = {row["study"]: row for row in rows_of(tmp_path / "out")}
    assert [rows[name]["status"] for name in NAMES[:3]] == ["done", "failed", "done"]
    assert said in rows[NAMES[1]]["message"]
    assert rows[NAMES[1]]["remedy"]


def test_an_engine_that_can_not_start_stops_the_batch_with_one_message(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", NAMES[:3])
    event = last_event(start_batch(tmp_path / "in", tmp_path / "out", engine_environment(load_fails=True)))
    assert (event["event"], event["kind"], event["message"]) == (
        "error",
        "model",
        "Model lgg-2 is not on this computer.",
    )
    assert rows_of(tmp_path / "out") == []


def test_a_study_cancelled_at_any_moment_is_whole_or_not_there(tmp_path: Path) -> None:
    flair = write_volume(tmp_path / "in" / "flair.nii.gz")
    patient = Patient(WORKER, engine_environment(stage_s=0.02))
    chance = random.Random(11)
    for number in range(40):
        fields = {"study": f"s{number}", "folder": str(tmp_path), "batch": "b", "inputs_key": "k", "flair": str(flair)}
        event = patient.ask({"command": "study", **fields}, cancel_after_s=chance.uniform(0, 0.25))
        assert event is not None
        is_done = event.name == "done"
        assert is_done or event.content["kind"] == "cancelled"
        assert (tmp_path / f"s{number}" / "study.json").exists() is is_done
    patient.worker.kill()
    assert patient.ended == 0
    assert not list(tmp_path.glob(".braintumorseg-*"))


@pytest.mark.skipif(not JumpingClock.can_be_made(), reason="setting a process's clock needs Linux and a C compiler")
def test_no_clock_that_jumps_stops_a_batch_or_has_a_study_done_again(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", NAMES[:6])
    clock, done = JumpingClock(tmp_path), tmp_path / "done.txt"
    environment = {**engine_environment(stage_s=0.05, done=str(done)), **clock.environment}
    for jump_s in (0, 400 * DAY_S, -400 * DAY_S, 3600):
        process = start_batch(tmp_path / "in", tmp_path / "out", environment, workers=1)
        assert process.stdout is not None
        process.stdout.readline()
        clock.jump_to(jump_s)
        time.sleep(0.5)
        process.kill()
        process.communicate()
    process = start_batch(tmp_path / "in", tmp_path / "out", environment, workers=1)
    clock.jump_to(-3600)
    assert last_event(process)["event"] == "done"
    rows = rows_of(tmp_path / "out")
    assert [(row["study"], row["status"]) for row in rows] == [(name, "done") for name in NAMES[:6]]
    assert all(0 < float(row["seconds"]) < 60 for row in rows)
    assert Counter(done.read_text().split()) == Counter(NAMES[:6])
    assert leftovers(tmp_path / "out") == []


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX's")
def test_no_header_leaves_a_trace_and_a_killed_batch_leaves_no_path_once_it_goes_on(tmp_path: Path) -> None:
    write_planted(tmp_path / "in", 3)
    private = [tmp_path / name for name in ("home", "temporary")]
    for folder in private:
        folder.mkdir()
    own = {"HOME": str(private[0]), "BRAINTUMORSEG_HOME": str(private[0]), "TMPDIR": str(private[1])}
    environment = {**engine_environment(stage_s=0.3), **own}
    out, log = tmp_path / "out", tmp_path / "log"
    log.mkdir()
    with (log / "stderr").open("wb") as stderr:
        process = start_batch(tmp_path / "in", out, environment, stderr=stderr)
        while not list(out.glob(".braintumorseg-*-*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.communicate()
        assert list(out.glob(".braintumorseg-*-*"))
        assert files_with([out, log, *private], IN_HEADERS.values()) == []
        assert last_event(start_batch(tmp_path / "in", out, environment, stderr=stderr))["event"] == "done"
    assert [row["status"] for row in rows_of(out)] == ["done", "done", "failed"]
    assert leftovers(out) == []
    assert files_with([out, log, *private], IN_HEADERS.values()) == []
    assert files_with([log, *private], [IN_PATHS]) == []


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_a_worker_killed_from_outside_is_replaced(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", NAMES[:6])
    process = start_batch(tmp_path / "in", tmp_path / "out", engine_environment(stage_s=0.1))
    assert process.stdout is not None
    assert "progress" in process.stdout.readline()
    workers = psutil.Process(process.pid).children()
    os.kill(workers[-1].pid, signal.SIGKILL)
    assert last_event(process)["event"] == "done"
    assert [row["status"] for row in rows_of(tmp_path / "out")] == ["done"] * 6
