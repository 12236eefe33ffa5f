import json
from pathlib import Path

import pytest

from brain_tumor_training.main import main
from brain_tumor_training.recipe import recipe_names, reported_values
from kaggle_phantom import write_data_set


def _data(folder: Path) -> Path:
    names = write_data_set(folder, patients=4, slices=4, size_px=256)
    lines = [f"{name},{number % 2}" for number, name in enumerate(names)]
    (folder / "folds.csv").write_text("\n".join(["patient,fold", *lines]) + "\n")
    return folder


@pytest.mark.parametrize("recipe", ["poster_resunet", "published_classifier_lite0"])
def test_a_published_system_is_measured_under_both_protocols(recipe: str, tmp_path: Path) -> None:
    data = _data(tmp_path)
    arguments = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv", "--fold", 0]
    options = ["--run", tmp_path / "runs" / recipe, "--device", "cpu", "--workers", 0]
    changes = {
        "phases": "[{_target_: brain_tumor_training.settings.Phase, size_px: 128, epochs: 1, schedule: plateau}]",
        "batch_size": "4",
        "validation.share": "0.3",
        "split.test_share": "0.25",
        "init": "scratch",
    }
    settings = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    assert main(["reproduce", recipe, *map(str, [*arguments, *options]), *settings]) == 0
    result = json.loads((tmp_path / "runs" / recipe / "reproduction.json").read_text())
    assert result["authors_protocol_leaky"]["slices"] == 4
    assert (result["honest_protocol"]["slices"], result["honest_protocol"]["patients"]) == (8, 2)
    assert result["init"] == "scratch"
    honest = json.loads((tmp_path / "runs" / recipe / "honest" / "splits.json").read_text())
    assert honest["protocol"] == "patients"

    assert main(["report", str(tmp_path / "runs"), str(tmp_path / "reproduction.md")]) == 0
    page = (tmp_path / "reproduction.md").read_text()
    assert f"## {recipe}" in page
    metric = "tumour slice dice" if recipe == "poster_resunet" else "roc auc"
    assert f"| {metric} |" in page
    assert "leaky, 4 slices" in page


def test_a_recipe_of_the_release_is_nothing_to_reproduce(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--cache", str(tmp_path), "--run", str(tmp_path), "--fold", "0"]
    assert main(["reproduce", "release_segmentation", *arguments]) == 2
    assert "Choose a published recipe" in capsys.readouterr().err


def test_a_folder_without_reproductions_gives_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), str(tmp_path / "page.md")]) == 2
    assert "holds no reproduction" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_what_the_authors_print_stands_in_their_recipes() -> None:
    assert reported_values("dai_resunet_plus_plus_adam") == {"IoU": 0.9817}
    assert reported_values("varolia_resunet") == {"pixel accuracy": 0.9749, "Dice": 0.9559, "IoU": 0.9155}
    published = [name for name in recipe_names() if name.startswith(("dai", "deng", "varolia", "poster"))]
    assert all(reported_values(name) for name in published)
    assert reported_values("release_segmentation") == {}
