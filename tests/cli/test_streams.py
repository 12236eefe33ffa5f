"""Standard streams that are closed, full or of a small character set, in a real process."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from command import COMMAND, child_environment

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the shell's redirections and /dev/full are Unix's")


def run_in_shell(home: Path, arguments: list[object], redirection: str, **changes: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``braintumorseg ARGUMENTS REDIRECTION``."""
    line = f"{shlex.join([*COMMAND, *map(str, arguments)])} {redirection}"
    environment = child_environment(home) | changes
    run = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, timeout=240, check=False)
    return run.returncode, run.stdout.decode("latin-1"), run.stderr.decode("latin-1")


def test_closed_streams_change_nothing_about_the_work(tmp_path: Path) -> None:
    assert run_in_shell(tmp_path, ["sample", tmp_path / "study"], "<&- >&- 2>&-") == (0, "", "")
    names = {"flair.nii.gz", "t1.nii.gz", "t1c.nii.gz", "reference.nii.gz"}
    assert {path.name for path in (tmp_path / "study").iterdir()} == names


@pytest.mark.parametrize(("redirection", "says"), [(">&-", ""), ("2>&-", "No model is installed.\n")])
def test_one_closed_stream_changes_nothing_about_the_other(tmp_path: Path, redirection: str, says: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "index.json").write_text('{"schema": 1, "models": []}')
    arguments = ["models", "--models", tmp_path / "models", "verify"]
    assert run_in_shell(tmp_path, arguments, redirection) == (0, says, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_finds_no_room_is_an_error_with_its_own_words(tmp_path: Path, unbuffered: str) -> None:
    code, _, err = run_in_shell(tmp_path, ["models", "list"], "> /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert code == 2
    assert err.startswith("braintumorseg: The answer can't be written to standard output: No space left on device.")
    assert err.count("\n") == 1


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-"])
def test_an_error_that_can_not_be_told_keeps_its_exit_code(tmp_path: Path, redirection: str) -> None:
    assert run_in_shell(tmp_path, ["segment", "--debug"], redirection) == (2, "", "")


def test_a_reader_that_has_enough_is_no_defect(tmp_path: Path) -> None:
    code, _, err = run_in_shell(tmp_path, ["models", "list"], "| true; exit ${PIPESTATUS[0]}")
    assert (code in (0, 1), err) == (True, "")


SAYING = """
import sys
from BrainTumorSegLib.cli.streams import prepare_streams
prepare_streams()
print(sys.argv[1])
print(sys.argv[1], file=sys.stderr)
"""


def test_characters_that_the_stream_lacks_are_escaped(tmp_path: Path) -> None:
    line = [sys.executable, "-c", SAYING, "Müller 脑"]
    run = subprocess.run(
        line, env=child_environment(tmp_path) | {"PYTHONIOENCODING": "cp1252"}, capture_output=True, check=True
    )
    assert (run.stdout, run.stderr) == (b"M\xfcller \\u8111\n", b"M\xfcller \\u8111\n")


REMARKS = """
import logging, sys
from BrainTumorSegLib.cli.streams import prepare_streams
prepare_streams()
logging.warning("a remark")
print("another", file=sys.stderr, flush=True)
print("the answer")
"""


def test_remarks_that_find_no_room_do_not_spoil_an_answer(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", REMARKS])
    run = subprocess.run(
        ["bash", "-c", f"{command} 2> /dev/full"],
        env=child_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "the answer\n")
