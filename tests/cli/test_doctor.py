from pathlib import Path

import pytest

from BrainTumorSegLib.cli.main import main
from BrainTumorSegLib.engine.models.index import ModelIndex
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.service.doctor import Finding, Status


@pytest.fixture(autouse=True)
def _empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ModelStore(ModelIndex(()), home=tmp_path / "home")
    monkeypatch.setattr(ModelStore, "default", lambda: store)


def test_doctor_looks_at_this_machine_and_its_exit_code_is_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    statuses = {line.split()[0] for line in lines[:-1]}
    assert any("torch" in line for line in lines)
    assert exit_code == (2 if "problem" in statuses else 0)


def test_folder_that_does_not_exist_is_a_problem_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--output-folder", str(tmp_path / "missing")]) == 2
    out = capsys.readouterr().out
    assert "-> " in out
    assert out.endswith("This machine can't segment yet: see the problems above.\n")


def test_warnings_alone_do_not_stop_anyone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    findings = (Finding("memory", Status.WARNING, "Little memory.", "Close programs."),)
    monkeypatch.setattr("BrainTumorSegLib.engine.service.doctor.examine", lambda _open_store, _folder: findings)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "warning  memory  Little memory.",
        "                 -> Close programs.",
        "This machine can segment.",
    ]
