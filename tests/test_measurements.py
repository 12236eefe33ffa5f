"""The accuracy that the documentation and the release print is the one that was measured, not one typed by hand."""

from __future__ import annotations

import csv
import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from documentation import DOCS, REPOSITORY

EVALUATION = DOCS / "cross_validation"
SLICE_ROWS = {
    "tumour-slice Dice / IoU": ("tumour_slice_dice", "tumour_slice_iou"),
    "all-slice Dice / IoU, empty/empty = 1": ("all_slice_dice", "all_slice_iou"),
    "pooled-pixel Dice / IoU / Tversky index": ("pooled_pixel_dice", "pooled_pixel_iou", "pooled_pixel_tversky_index"),
}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """What ``evaluate`` wrote about the five folds."""
    return json.loads((EVALUATION / "metrics.json").read_text())


def _cells(label: str) -> list[str]:
    """The cells behind a row's label in docs/measurements.md."""
    page = (DOCS / "measurements.md").read_text()
    found = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", page, re.MULTILINE)
    assert len(found) == 1, f"{label}: {len(found)} rows"
    return [cell.strip() for cell in found[0].split("|")]


def _interval(estimate: dict[str, float]) -> list[str]:
    return [f"{estimate['value']:.3f}", f"{estimate['low']:.3f}-{estimate['high']:.3f}"]


def test_the_table_is_that_of_the_evaluation(measured: dict[str, Any]) -> None:
    metrics = measured["metrics"]
    dice, classifier = metrics["volumetric_dice"], metrics["slice_classifier"]
    assert _cells("volumetric Dice per patient, mean") == _interval(dice["mean"])
    assert _cells("volumetric Dice per patient, median") == _interval(dice["median"])
    low = [dice[name] for name in ("worst_decile", "mean_of_worst_tenth", "minimum")]
    assert _cells("volumetric Dice, 10th percentile / mean of the worst tenth / worst")[0].split(" / ") == [
        f"{one:.3f}" for one in low
    ]
    folds = [measured["subgroups"][f"fold {fold}"]["mean"] for fold in range(5)]
    assert _cells("volumetric Dice, mean of folds 0 / 1 / 2 / 3 / 4")[0].split(" / ") == [f"{one:.3f}" for one in folds]
    for label, names in SLICE_ROWS.items():
        values, intervals = zip(*(_interval(metrics[name]) for name in names), strict=True)
        assert _cells(label) == [" / ".join(values), " / ".join(intervals)], label
    assert _cells("slice classifier, ROC AUC") == _interval(classifier["roc_auc"])
    assert _cells("the segmentation's maximum probability of a slice, ROC AUC") == _interval(
        metrics["maximum_probability"]["roc_auc"]
    )
    sensitivity = [
        metrics[name]["sensitivity_at_specificity_0.9"]["value"] for name in ("slice_classifier", "maximum_probability")
    ]
    assert _cells("slice classifier / maximum probability, sensitivity at specificity 0.90")[0].split(" / ") == [
        f"{one:.3f}" for one in sensitivity
    ]
    false_positive = metrics["false_positive_volume_ml_on_tumour_free_slices"]["value"]
    assert _cells("false-positive volume on tumour-free slices, mL per patient")[0] == f"{false_positive:.2f}"
    cost = metrics["gate_cost"]["mean_volumetric_dice_lost"]["value"]
    assert _cells("what the gate costs, mean volumetric Dice (negative: it gains)")[0] == f"{cost:.4f}"


def test_what_is_shown_first_does_not_flatter(measured: dict[str, Any]) -> None:
    """The overview's verdicts follow from its own figures, and those from the evaluation."""
    page = (DOCS / "measurements.md").read_text()
    overview = page[page.index("## At a glance") :].split("\n## ")[0]
    dice = measured["metrics"]["volumetric_dice"]
    for part, aim in (("mean", 0.88), ("median", 0.91)):
        value = dice[part]["value"]
        reached = "yes" if value >= aim else "no"
        assert re.search(rf"{part} \| {aim:g} \| {value:.3f} \| {reached} \|", overview), part


def test_the_single_patients_give_the_mean(measured: dict[str, Any]) -> None:
    rows = list(csv.DictReader((EVALUATION / "per_patient.csv").open()))
    dice = [float(row["volumetric_dice"]) for row in rows]
    assert len(dice) == measured["metrics"]["patients"] == 88
    assert statistics.mean(dice) == pytest.approx(measured["metrics"]["volumetric_dice"]["mean"]["value"], abs=1e-5)
    assert statistics.median(dice) == pytest.approx(measured["metrics"]["volumetric_dice"]["median"]["value"], abs=1e-5)


def test_release_and_model_card_say_the_same(measured: dict[str, Any]) -> None:
    dice = measured["metrics"]["volumetric_dice"]
    index = json.loads((REPOSITORY / "BrainTumorSeg" / "Resources" / "Models.json").read_text())
    staged = next(one for one in index["models"] if one["task"] == "segmentation")["metrics"]
    assert staged["volumetric_dice_mean"] == pytest.approx(dice["mean"]["value"], abs=1e-4)
    assert staged["volumetric_dice_median"] == pytest.approx(dice["median"]["value"], abs=1e-4)
    mean, interval = _interval(dice["mean"])
    card = " ".join((DOCS / "model_card.md").read_text().split())
    assert f"mean {mean} (95 % interval {interval}), median {dice['median']['value']:.3f}." in card
    front = " ".join((REPOSITORY / "README.md").read_text().split())
    assert f"mean Dice of {mean} (median {dice['median']['value']:.3f})" in front


def test_the_plan_for_a_million_studies_follows_from_what_was_measured(tmp_path: Path) -> None:
    page = shutil.copy(DOCS / "scale.md", tmp_path / "scale.md")
    subprocess.run([sys.executable, REPOSITORY / "benchmarks" / "scale.py", page, "--plan"], check=True)
    assert page.read_text() == (DOCS / "scale.md").read_text()


def test_no_fault_lost_a_study_or_left_half_a_file() -> None:
    page = (DOCS / "reliability.md").read_text()
    (row,) = re.findall(r"^\| all \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    injected, survived, lost, half_written = map(int, row)
    assert injected == survived > 1000
    assert (lost, half_written) == (0, 0)
