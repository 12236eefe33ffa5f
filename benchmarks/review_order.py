"""How many of the wrong voxels lie in the slices that are ranked first for review, beside random order and by area.

    python benchmarks/review_order.py --segmentation-runs 'RUNS/fold{fold}' --classifier-runs 'RUNS/cls{fold}' \
        --folds folds.csv --fold 0 --cache CACHE

Held-out patients of a fold, by runs that have not seen them: masks at the threshold of the cached slices, scores as the
engine makes them of the classifier's logits; no refiner, no calibration, no gate, no pieces dropped. Printed is the
share of the wrong voxels that lies in the first fifth of a patient's slices: of all patients together, and its mean
over patients. A poor model errs elsewhere than a good one: the mean volumetric Dice is printed with it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from brain_tumor_training.bundles.fold_bundles import unseeing_run_of_fold
from brain_tumor_training.calibration.fold_calibration import held_out_logits
from brain_tumor_training.data.folds import read_folds
from brain_tumor_training.metrics.overlap import count_slices, volumetric_dice
from BrainTumorSegLib.engine.inference.slice_scores import slice_probabilities
from BrainTumorSegLib.engine.measurement.lesions import slice_measures
from BrainTumorSegLib.engine.measurement.measure import slice_scores
from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.engine.measurement.review_order import review_order
from BrainTumorSegLib.engine.study.geometry import Geometry

SHARE = 0.2
DRAWS = 200


@dataclass(frozen=True)
class Patient:
    """One patient's slices. wrong: voxels that differ from the reference, [S]."""

    slices: tuple[SliceScore, ...]
    wrong: npt.NDArray[np.int64]
    dice: float


Order = Callable[[Patient], Sequence[int]]


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segmentation-runs", required=True, metavar="PATTERN", help="{fold} stands for the fold")
    parser.add_argument("--classifier-runs", required=True, metavar="PATTERN")
    parser.add_argument("--folds", type=Path, required=True, metavar="CSV")
    parser.add_argument("--fold", type=int, required=True, metavar="K")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR")
    parser.add_argument("--threshold", type=float, default=0.5, metavar="T")
    parser.add_argument("--device", default="auto", metavar="D")
    arguments = parser.parse_args()
    names = [name for name, number in read_folds(arguments.folds).items() if number == arguments.fold]
    patients = held_out(arguments, names)
    wrong = sum(int(one.wrong.sum()) for one in patients)
    slices = sum(len(one.wrong) for one in patients)
    print(
        f"{len(patients)} held-out patients, {slices} slices, {wrong} wrong voxels, "
        f"mean volumetric Dice {np.mean([one.dice for one in patients]):.3f}\n"
    )
    print("| order | wrong voxels in the first fifth of the slices | mean over patients |\n|---|---|---|")
    for name, order in ORDERS.items():
        shares = [share_of_wrong(one, order(one)) for one in patients if one.wrong.any()]
        pooled = sum(first_wrong(one, order(one)) for one in patients) / wrong
        print(f"| {name} | {pooled:.1%} | {np.mean(shares):.1%} |")
    drawn = np.mean([random_share(patients, seed) for seed in range(DRAWS)])
    print(f"| random ({DRAWS} draws) | {drawn:.1%} | |")


def held_out(arguments: argparse.Namespace, names: Sequence[str]) -> list[Patient]:
    """What the fold's runs say about the patients that they have not seen."""
    patterns = (arguments.segmentation_runs, arguments.classifier_runs)
    runs = [unseeing_run_of_fold(each, arguments.fold, names) for each in patterns]
    maps, slices = (held_out_logits(run, names, arguments.cache, arguments.device) for run in runs)
    scores = {one.name: one.logits.astype(np.float32) for one in slices}
    found = []
    for one in maps:
        probability = expit(one.logits.astype(np.float32))
        mask = probability >= arguments.threshold
        steps, rows, columns = mask.shape
        # Squares of 1 mm and slices 5 mm apart: no spacing is known, and the order needs none.
        grid = Geometry((columns, rows, steps), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        score = slice_probabilities(scores[one.name], one.neighbour_step, 1.0)
        dice = volumetric_dice(count_slices(mask, one.mask))
        wrong = (mask != one.mask).sum(axis=(1, 2))
        seen = slice_scores(slice_measures(mask, probability, grid), score, np.ones(steps, np.bool_))
        found.append(Patient(seen, wrong, dice))
    return found


def first_wrong(patient: Patient, order: Sequence[int]) -> int:
    """Wrong voxels in the first fifth of the order, at least one slice."""
    return int(patient.wrong[list(order)[: math.ceil(SHARE * len(patient.wrong))]].sum())


def share_of_wrong(patient: Patient, order: Sequence[int]) -> float:
    """Of all wrong voxels of the patient."""
    return first_wrong(patient, order) / int(patient.wrong.sum())


def random_share(patients: Sequence[Patient], seed: int) -> float:
    """The pooled share of one random order."""
    rng = np.random.default_rng(seed)
    wrong = sum(int(one.wrong.sum()) for one in patients)
    return sum(first_wrong(one, rng.permutation(len(one.wrong)).tolist()) for one in patients) / wrong


def _largest_first(key: Callable[[SliceScore], float]) -> Order:
    return lambda patient: np.argsort([-key(one) for one in patient.slices], kind="stable").tolist()


ORDERS: dict[str, Order] = {
    "need of review": lambda patient: [need.index for need in review_order(patient.slices)],
    "doubtful area alone": _largest_first(lambda one: one.doubtful_area_mm2),
    "mean uncertainty": _largest_first(lambda one: one.mean_uncertainty),
    "area": _largest_first(lambda one: one.area_mm2),
    "best possible": lambda patient: np.argsort(-patient.wrong, kind="stable").tolist(),
}


if __name__ == "__main__":
    main()
