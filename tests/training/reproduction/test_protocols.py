import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from brain_tumor_training.data.splits import Split
from brain_tumor_training.main import main
from brain_tumor_training.recipes.recipe import load_recipe, publication, published_recipes, recipe_names
from brain_tumor_training.recipes.settings import Phase
from brain_tumor_training.reproduction.explanation import explanation
from brain_tumor_training.reproduction.report import write_report
from brain_tumor_training.reproduction.result import read_result
from brain_tumor_training.runs.history import run_history, stored_history
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from documentation import DOCS
from tiny_runs import write_folded_data
from training_phantom import CPU


@pytest.mark.parametrize("recipe", ["poster_resunet", "deng_classifier_lite0"])
def test_a_published_system_is_measured_under_both_protocols(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folded_data(tmp_path, patients=4)
    arguments = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv", "--fold", 0]
    options = ["--run", tmp_path / "runs" / recipe, "--device", "cpu"]
    changes = {
        "phases": "[{_target_: brain_tumor_training.recipes.settings.Phase, size_px: 128, epochs: 1, "
        "schedule: plateau}]",
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

    # The same command again finds both runs finished and trains nothing; another recipe does not go on in them.
    weights = (tmp_path / "runs" / recipe / "honest" / "weights.pt").stat().st_mtime_ns
    assert main(["reproduce", recipe, *map(str, [*arguments, *options]), *settings]) == 0
    assert (tmp_path / "runs" / recipe / "honest" / "weights.pt").stat().st_mtime_ns == weights
    assert main(["reproduce", recipe, *map(str, [*arguments, *options]), *settings, "--set", "batch_size=5"]) == 2

    assert main(["report", str(tmp_path / "runs"), str(tmp_path / "reproduction.md")]) == 0
    assert f"1 of {len(published_recipes())} published recipes were run" in capsys.readouterr().out
    assert f"](reproduction/{recipe}.md)" in (tmp_path / "reproduction.md").read_text()
    told = (tmp_path / "reproduction" / f"{recipe}.md").read_text()
    assert "Not the recipe's own run" in told
    assert "phases.0.size_px: 256 -> 128" in told
    assert "leaky run: 1 of 1 epochs, of which epoch 1 was the best on watched slices; 7 training slices" in told
    assert "honest, 8 slices of 2 patients" in told
    assert f"]({recipe}-curves.png)" in told
    assert (tmp_path / "reproduction" / f"{recipe}-curves.png").read_bytes().startswith(b"\x89PNG")
    if recipe == "poster_resunet":
        assert "| tumour-slice Dice | 0.9800? |" in told
        assert "Predicting nothing at all would score" in told
    else:
        assert "| honest | tumour |" in told
        assert (tmp_path / "reproduction" / f"{recipe}-confusion.png").is_file()
    missing = (tmp_path / "reproduction" / "dai_resunet_plus_plus_adam.md").read_text()
    assert "**Missing: this system was not trained here**" in missing
    assert "0.1718" in missing


def test_a_recipe_of_the_release_is_nothing_to_reproduce(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--cache", str(tmp_path), "--run", str(tmp_path), "--fold", "0"]
    assert main(["reproduce", "release_segmentation", *arguments]) == 2
    assert "Choose a published recipe" in capsys.readouterr().err


def test_without_any_run_the_page_says_that_all_are_missing(tmp_path: Path) -> None:
    assert main(["report", str(tmp_path), str(tmp_path / "docs" / "page.md")]) == 0
    pages = {path.stem: path.read_text() for path in (tmp_path / "docs" / "page").iterdir()}
    assert set(pages) == set(published_recipes())
    assert all("**Missing: this system was not trained here**" in page for page in pages.values())
    assert not any("leaky run:" in page for page in pages.values())
    assert "from weights that can be had: [deng_classifier_lite0](deng_classifier_lite0.md)." in pages["deng_resnet50"]
    row = "| [deng_classifier_lite0](page/deng_classifier_lite0.md) | in the protocol of [deng_resnet50]"
    assert row in (tmp_path / "docs" / "page.md").read_text()


def test_a_folder_that_is_not_there_gives_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "none"), str(tmp_path / "page.md")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_an_interrupted_run_tells_how_far_it_came(tmp_path: Path) -> None:
    """10 slices in batches of 4 are 3 steps an epoch; the second phase was begun."""
    settings = load_recipe("poster_resunet", {"batch_size": 4, "phases::0::epochs": 2})
    settings = replace(settings, phases=(*settings.phases, Phase(128, steps=6)))
    split = Split({"a": list(range(6)), "b": list(range(4))}, {"a": [7]}, {"c": [0]}, "random_slices_leaky")
    run = RunFolder(tmp_path)
    run.begin(settings, split, CPU)
    run.log(0, 6, 0.5, 0.1, 1.0)
    run.log(1, 3, 0.4, 0.1, 1.0)
    history = run_history(tmp_path)
    changes = history.changes("poster_resunet")
    assert (history.epochs_planned, history.epochs_run) == (4, 3)
    assert history.training_loss.epochs == (2, 3)
    assert history.patients == 3
    assert "3 of 4 epochs" in history.in_words
    assert history.in_words.endswith("not finished")
    assert "batch_size: 16 -> 4" in changes
    assert "phases.0.epochs: 60 -> 2" in changes
    assert not any(change.startswith("split") for change in changes)
    assert stored_history(json.loads(json.dumps(asdict(history)))) == history
    with pytest.raises(InputError, match="holds no run"):
        run_history(tmp_path / "none")


def test_a_result_without_its_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reproduction.json").write_text('{"recipe": "poster_resunet"}')
    assert main(["report", str(tmp_path), str(tmp_path / "page.md")]) == 2
    assert "does not say how its runs went" in capsys.readouterr().err


def test_an_early_end_of_the_honest_run_is_told_as_part_of_the_difference() -> None:
    reproduced = read_result(DOCS / "reproduction" / "poster_resunet")
    told = "whose watched slices have neighbours among those it learns from"
    ends = {
        name: replace(one, kept_epoch=end)
        for (name, one), end in zip(reproduced.histories.items(), (9, 4), strict=True)
    }
    assert told in "".join(explanation(replace(reproduced, histories=ends)))
    late = {name: replace(one, kept_epoch=9) for name, one in reproduced.histories.items()}
    assert told not in "".join(explanation(replace(reproduced, histories=late)))


def test_the_published_page_is_what_its_stored_results_give(tmp_path: Path) -> None:
    """Figures in docs/reproduction.md can't be edited by hand, nor left behind when a recipe or the text changes."""
    write_report(DOCS / "reproduction", tmp_path / "reproduction.md")
    assert (tmp_path / "reproduction.md").read_text() == (DOCS / "reproduction.md").read_text()
    made = {path.name for path in (tmp_path / "reproduction").iterdir()}
    assert made == {path.name for path in (DOCS / "reproduction").iterdir() if path.is_file()}
    for page in (tmp_path / "reproduction").glob("*.md"):
        assert page.read_text() == (DOCS / "reproduction" / page.name).read_text()


def test_what_the_authors_print_stands_in_their_recipes() -> None:
    assert publication("dai_resunet_plus_plus_adam").reported == {"IoU": 0.9817}
    assert publication("varolia_resunet").reported == {"pixel accuracy": 0.9749, "Dice": 0.9559, "IoU": 0.9155}
    published = [name for name in recipe_names() if name.startswith(("dai", "deng", "varolia", "poster"))]
    known = [publication(name) for name in published]
    assert all(one.chosen and bool(one.reported) != bool(one.stands_in_for) for one in known)
    assert publication("release_segmentation").reported == {}
    assert set(published_recipes()) == set(published)


@pytest.mark.parametrize("who", ["deng", "varolia", "poster"])
def test_a_stand_in_has_all_of_its_original_but_the_network(who: str) -> None:
    assert publication(f"{who}_classifier_lite0").stands_in_for == f"{who}_resnet50"
    original, stand_in = load_recipe(f"{who}_resnet50"), load_recipe(f"{who}_classifier_lite0")
    kept = ("channels", "loss", "phases", "batch_size", "optimiser", "ema_decay", "augmentation", "split", "validation")
    assert {name: getattr(stand_in, name) for name in kept} == {name: getattr(original, name) for name in kept}


@pytest.mark.parametrize(
    ("name", "training", "test"),
    [("deng_resunet", 0.85, 0.1125), ("deng_resnet50", 0.9, 0.05), ("varolia_resnet50", 0.85, 0.1125)],
)
def test_the_share_that_a_paper_trains_on_is_trained_on(name: str, training: float, test: float) -> None:
    settings = load_recipe(name)
    assert settings.split.test_share == test
    assert settings.validation is not None
    assert 1 - test - settings.validation.share == pytest.approx(training)
