import csv
from pathlib import Path

import pytest

from brain_tumor_training.evaluation.comparison import compare_evaluations, comparison_table
from brain_tumor_training.main import main
from BrainTumorSegLib.engine.errors import InputError

BEFORE = {"a": 0.5, "b": 0.6, "c": 0.7, "d": 0.8, "e": 0.9}


def _write(folder: Path, dice: dict[str, float]) -> Path:
    folder.mkdir()
    with (folder / "per_patient.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "volumetric_dice", "seconds"])
        writer.writerows([name, value, 1] for name, value in dice.items())
    return folder


def test_differences_are_paired_by_patient_whatever_their_order() -> None:
    after = {name: BEFORE[name] + gain for name, gain in zip("edcba", (0.01, 0.02, 0.03, 0.04, 0.05), strict=True)}
    found = compare_evaluations(BEFORE, after, seed=0)
    assert found.mean_difference.value == pytest.approx(0.03)
    assert found.median_difference.value == pytest.approx(0.03)
    assert 0.01 <= found.mean_difference.low < 0.03 < found.mean_difference.high <= 0.05
    # All of five in one direction: two of the 2 ** 5 ways to set their signs are as extreme.
    assert found.p == pytest.approx(2 / 2**5)
    assert list(found.differences) == ["e", "d", "c", "b", "a"]


def test_equal_evaluations_do_not_differ() -> None:
    found = compare_evaluations(BEFORE, BEFORE, seed=0)
    assert (found.mean_difference.value, found.p) == (0, 1)
    assert "Better: 0, worse: 0" in comparison_table(found)


def test_other_patients_are_refused() -> None:
    with pytest.raises(InputError, match=r"not of the same patients: f \(1 stand on one side alone\)"):
        compare_evaluations(BEFORE, BEFORE | {"f": 0.5}, seed=0)
    with pytest.raises(InputError, match="there is none"):
        compare_evaluations({}, {}, seed=0)


def test_the_command_joins_folds_and_names_who_loses_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds = [_write(tmp_path / "0", {"a": 0.5, "b": 0.6}), _write(tmp_path / "1", {"c": 0.7})]
    after = _write(tmp_path / "after", {"c": 0.8, "b": 0.2, "a": 0.5})
    assert main(["compare", "--before", *map(str, folds), "--after", str(after)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| volumetric Dice, 3 patients | mean | median | worst |"
    assert lines[2:4] == ["| before | 0.6000 | 0.6000 | 0.5000 |", "| after | 0.5000 | 0.5000 | 0.2000 |"]
    assert "Better: 1, worse: 1" in lines[6]
    assert lines[10] == "| b | 0.6000 | 0.2000 | -0.4000 |"
    assert lines[-1] == "| c | 0.7000 | 0.8000 | +0.1000 |"


def test_what_is_no_evaluation_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = _write(tmp_path / "one", {"a": 0.5})
    (tmp_path / "other").mkdir()
    assert main(["compare", "--before", str(one), "--after", str(tmp_path / "other")]) == 2
    assert "holds no per_patient.csv" in capsys.readouterr().err
    (tmp_path / "other" / "per_patient.csv").write_text("patient,unchanged\na,0.5\n")
    assert main(["compare", "--before", str(one), "--after", str(tmp_path / "other")]) == 2
    assert "has no column volumetric_dice" in capsys.readouterr().err
    assert main(["compare", "--before", str(one), str(one), "--after", str(one)]) == 2
    assert "a is in two of the evaluations" in capsys.readouterr().err
