import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from BrainTumorSegLib.cli.main import main
from BrainTumorSegLib.engine.models.index import ModelEntry, ModelIndex
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.networks.registry import Task


def publish(folder: Path, name: str, task: Task, classifier: str | None = None) -> ModelEntry:
    """Put a file into the folder that stands for the server, and describe it."""
    content = f"the weights of {name}".encode() * 100
    (folder / f"{name}-1.0.0.zip").write_bytes(content)
    return ModelEntry(
        name=name,
        version="1.0.0",
        task=task,
        file=f"{name}-1.0.0.zip",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        licence="CC-BY-NC-SA-4.0",
        title=f"Title of {name}",
        description=f"What {name} is.",
        classifier=classifier,
        recommendation={"threshold": 0.5, "gate": 0.1, "min_volume_ml": 0.25},
        metrics={},
        default=classifier is not None,
    )


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that serves two models; the command line works on an empty store that downloads from it."""
    folder = tmp_path / "server"
    folder.mkdir()
    entries = (
        publish(folder, "outline", Task.SEGMENTATION, classifier="gate"),
        publish(folder, "gate", Task.CLASSIFICATION),
    )
    store = ModelStore(ModelIndex(entries), home=tmp_path / "home", base_url=str(folder))
    monkeypatch.setattr(ModelStore, "default", lambda: store)
    return folder


@pytest.mark.usefixtures("server")
def test_list_says_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "download", "gate"])
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    header, outline, gate = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "version", "state", "size", "licence", "title"]
    assert "not installed" in outline
    assert outline.endswith("(default)")
    assert " installed" in gate
    assert "not installed" not in gate


@pytest.mark.usefixtures("server")
def test_download_without_a_name_brings_the_default_and_its_classifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "download"]) == 0
    out, err = capsys.readouterr()
    assert "outline 1.0.0 is installed" in out
    assert "gate 1.0.0 is installed" in out
    assert err == ""
    assert (tmp_path / "home" / "models" / "outline-1.0.0.zip").is_file()


def test_failed_download_says_what_to_do(server: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (server / "outline-1.0.0.zip").unlink()
    assert main(["models", "download", "outline"]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Model outline 1.0.0 can't be downloaded" in err
    assert "models import FILE" in err


@pytest.mark.usefixtures("server")
def test_unknown_model_is_named_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "download", "inline"]) == 3
    assert "There is no model named 'inline'. Choose one of outline, gate." in capsys.readouterr().err


def test_import_verify_and_remove(server: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "import", str(server / "outline-1.0.0.zip")]) == 0
    assert main(["models", "verify"]) == 0
    assert main(["models", "remove", "outline"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "outline 1.0.0 is installed.",
        "outline is whole.",
        "outline is removed.",
    ]
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == "No model is installed.\n"


def test_verify_finds_a_damaged_model(server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "import", str(server / "outline-1.0.0.zip")])
    (tmp_path / "home" / "models" / "outline-1.0.0.zip").write_bytes(b"half of it")
    assert main(["models", "verify"]) == 3
    assert "Model outline failed its check" in capsys.readouterr().err


def test_import_of_another_file_is_refused(server: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = server / "other.zip"
    other.write_bytes(b"something else")
    assert main(["models", "import", str(other)]) == 3
    assert "none of the models that this version knows" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--models", "{}", "list"], ["list", "--models", "{}"]], ids=["before", "after"])
def test_a_folder_of_models_can_be_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = publish(tmp_path, "own", Task.SEGMENTATION)
    (tmp_path / "index.json").write_text(json.dumps({"schema": 1, "models": [asdict(entry)]}))
    assert main(["models", *(each.format(tmp_path) for each in arguments)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["own", "1.0.0", "installed"]


@pytest.mark.parametrize("command", [["doctor"], ["models", "list"], ["segment", "--flair", "f", "--output", "o"]])
def test_a_folder_without_an_index_is_never_taken_for_models(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f").mkdir()
    words = [
        str(tmp_path / "f") if each == "f" else str(tmp_path / "o.seg.nrrd") if each == "o" else each
        for each in command
    ]
    assert main([*words, "--models", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert f"The folder of models {tmp_path} has no index.json." in said.out + said.err
