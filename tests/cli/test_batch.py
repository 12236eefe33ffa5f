"""``braintumorseg batch`` as a user meets it: the list, the exit codes, Ctrl-C."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from BrainTumorSegLib.cli.main import main
from cohorts import write_volume
from command import COMMAND, child_environment
from pace import pace


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_volume(tmp_path / "in" / "anna" / "flair.nii.gz")
    write_volume(tmp_path / "in" / "bert" / "t1.nii.gz")
    return tmp_path


def test_list_shows_what_would_be_done_and_writes_it(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", str(cohort / "in"), str(cohort / "out"), "--list"]) == 0
    shown = capsys.readouterr().out
    assert "anna                             FLAIR" in shown
    assert "No file is called FLAIR" in shown
    assert "1 of 2 can be segmented" in shown
    with (cohort / "out" / "plan.csv").open(newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert rows["anna"]["flair"] == str(cohort / "in" / "anna" / "flair.nii.gz")
    assert not (cohort / "out" / "batch.json").exists()


def test_the_list_that_the_user_gave_is_kept(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort / "out").mkdir()
    plan = cohort / "out" / "plan.csv"
    mine = f"scanner,id,flair\nSiemens,anna,{cohort}/in/anna/flair.nii.gz\n"
    plan.write_text(mine)
    assert main(["batch", str(plan), str(cohort / "out"), "--list"]) == 0
    assert "1 of 1 can be segmented.\n" in capsys.readouterr().out
    assert main(["batch", str(cohort / "in"), str(cohort / "out"), "--list"]) == 2
    assert "there already with other content" in capsys.readouterr().err
    assert plan.read_text() == mine


def test_a_study_that_failed_gives_exit_code_2_and_a_line(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort / "in" / "anna" / "flair.nii.gz").unlink()
    assert main(["batch", str(cohort / "in"), str(cohort / "out")]) == 2
    captured = capsys.readouterr()
    assert "1 study: 0 done, 1 failed." in captured.out
    assert "bert: No file is called FLAIR. Rename the FLAIR file" in captured.err
    assert (cohort / "out" / "summary.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "0"], "'0' is no number of processes"),
        (["--workers", "2", "--scheduler", "tcp://x:1"], "not allowed with argument"),
        (["--threshold", "2"], "The threshold is 2.0"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    cohort: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["batch", str(cohort / "in"), str(cohort / "out"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_cohort_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.usefixtures("heeded_signals")
def test_ctrl_c_ends_a_batch_within_three_seconds(cohort: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "batch", str(cohort / "in"), str(cohort / "out"), "--workers", "1"],
        env=child_environment(cohort / "home"),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (cohort / "out" / "summary.csv").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    begun_s = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - begun_s < 3.0 * pace()
    assert process.returncode == 5
    assert "Cancelled. The studies that are done are kept; the same command goes on from there." in said
    with (cohort / "out" / "summary.csv").open(newline="") as stream:
        assert [row["study"] for row in csv.DictReader(stream)] == ["bert"]


def test_debugging_a_batch_writes_no_name_of_a_patient(tmp_path: Path) -> None:
    patient = "DOE_JANE_19620304"
    write_volume(tmp_path / patient / "in" / "t1.nii.gz")
    run = subprocess.run(
        [*COMMAND, "batch", str(tmp_path / patient / "in"), str(tmp_path / patient / "out"), "--debug"],
        env=child_environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 2
    assert "No file is called FLAIR" in run.stderr
    assert patient not in run.stderr
