from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from brain_tumor_training.joining import MEMBERS
from brain_tumor_training.main import main
from brain_tumor_training.recipe import settings_of_run
from brain_tumor_training.run_folder import RunFolder
from BrainTumorSegLib.engine.networks.registry import build_network
from tiny_runs import SETTINGS, write_folded_data, write_recipe

FINE = {
    "network": "ResUNetPlusPlusLite0",
    "arguments": {"input_channels": 3},
    "phases": [{"_target_": f"{SETTINGS}Phase", "size_px": 256, "crop_px": 64, "steps": 1}],
    "validation": None,
}
COARSE = FINE | {
    "phases": [{"_target_": f"{SETTINGS}Phase", "size_px": 128, "steps": 1}],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folded_data(tmp_path_factory.mktemp("data"), patients=2)


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished runs ``fine`` and ``coarse`` of fold 0, and ``other``, a coarse one of fold 1."""
    folder = tmp_path_factory.mktemp("runs")
    for name, recipe, fold in (("fine", FINE, 0), ("coarse", COARSE, 0), ("other", COARSE, 1)):
        (folder / f"{name}-recipe").mkdir()
        arguments = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv", "--fold", fold]
        options = ["--run", folder / name, "--device", "cpu", "--workers", 0]
        path = write_recipe(folder / f"{name}-recipe", **recipe)
        assert main(["fit", str(path), *map(str, [*arguments, *options])]) == 0
    return folder


def test_joined_runs_are_a_finished_run_of_their_mean(runs: Path, tmp_path: Path) -> None:
    assert main(["join", str(runs / "fine"), str(runs / "coarse"), "--run", str(tmp_path / "joined")]) == 0
    joined = RunFolder(tmp_path / "joined")
    settings = settings_of_run(joined)
    assert (settings.network, settings.arguments) == ("ResUNetPlusPlusFineCoarse", {"input_channels": 3})
    assert joined.split() == RunFolder(runs / "fine").split()
    network = build_network(settings.network, settings.arguments)
    network.load_state_dict(joined.finished_weights())
    for name in ("fine", "coarse"):
        own = RunFolder(runs / name).finished_weights()
        assert all(torch.equal(own[key], tensor) for key, tensor in network.get_submodule(name).state_dict().items())
    members = json.loads((tmp_path / "joined" / MEMBERS).read_text())
    assert [members[name]["phases"][0]["size_px"] for name in ("fine", "coarse")] == [256, 128]


def test_runs_of_different_patients_are_not_joined(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["join", str(runs / "fine"), str(runs / "other"), "--run", str(tmp_path / "joined")]) == 2
    assert "were not trained on the same slices. Give two runs of one fold" in capsys.readouterr().err
    assert not (tmp_path / "joined").exists()


def test_a_run_at_another_sampling_is_no_member(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["join", str(runs / "coarse"), str(runs / "fine"), "--run", str(tmp_path / "joined")]) == 2
    said = (
        "is a run of ResUNetPlusPlusLite0 at 128 pixels, not of ResUNetPlusPlusLite0 at 256. Give a run of release_seg"
    )
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
