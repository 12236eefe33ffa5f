import argparse
import signal
from pathlib import Path

import pytest

from BrainTumorSegLib import __version__
from BrainTumorSegLib.cli import sample
from BrainTumorSegLib.cli.main import main
from BrainTumorSegLib.engine.errors import Cancelled, GeometryError, InputError, MemoryExhaustedError, ModelError
from command import run_command


def run_with(monkeypatch: pytest.MonkeyPatch, error: BaseException, *options: str) -> int:
    """Run a command whose work raises ``error``."""

    def fail(_arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(sample, "_run", fail)
    return main(["sample", "folder", *options])


def test_version_is_that_of_the_package(tmp_path: Path) -> None:
    run = run_command(tmp_path, "--version")
    assert (run.returncode, run.stdout) == (0, f"braintumorseg {__version__}\n")


def test_help_lists_the_commands(tmp_path: Path) -> None:
    run = run_command(tmp_path, "--help")
    assert run.returncode == 0
    assert all(command in run.stdout for command in ("segment", "models", "doctor", "worker", "sample"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["paint"], "invalid choice: 'paint'"),
        (["segment"], "--flair, --output"),
        (["segment", "--flair"], "expected one argument"),
        (["segment", "--flair", "f", "--output", "o.seg.nrrd", "--threshold", "x"], "invalid float value: 'x'"),
        (["segment", "--flair", "", "--output", "o.seg.nrrd"], "Argument --flair: the path is empty"),
        (["segment", "--flair", "f", "--output", "o.seg.nrrd", "--report", ""], "--report: the path is empty"),
        (["models"], "ACTION"),
        (["sample"], "OUT_DIR"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_with_a_way_out(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert "--help`" in err


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (InputError("The study is odd.", "Correct it."), 2),
        (GeometryError("The grids differ.", "Correct them."), 2),
        (ModelError("The model is gone.", "Bring it back."), 3),
        (MemoryExhaustedError("Memory is full.", "Close programs."), 4),
        (MemoryError(), 4),
        (Cancelled(), 5),
        (KeyboardInterrupt(), 5),
        (ZeroDivisionError("division by zero"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_is_one_line_and_has_its_exit_code(
    error: BaseException, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, error) == exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("braintumorseg: ")


def test_error_says_what_and_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_with(monkeypatch, InputError("The study is odd.", "Correct it."))
    assert capsys.readouterr().err == "braintumorseg: The study is odd. Correct it.\n"


def test_defect_is_named_as_one_even_with_several_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(monkeypatch, RuntimeError("first\nsecond"))
    err = capsys.readouterr().err
    assert err.startswith("braintumorseg: This is a defect, RuntimeError: first second")
    assert "Please report it." in err


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_adds_the_traceback_wherever_it_stands(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_arguments: argparse.Namespace) -> int:
        raise InputError("The study is odd.", "Correct it.")

    monkeypatch.setattr(sample, "_run", fail)
    assert main(["--debug", "sample", "folder"] if place == "before" else ["sample", "folder", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("braintumorseg: The study is odd. Correct it.\n")


def test_termination_ends_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def be_terminated(_arguments: argparse.Namespace) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(sample, "_run", be_terminated)
    assert main(["sample", "folder"]) == 5
    assert capsys.readouterr().err == "braintumorseg: Cancelled. Nothing was written.\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
