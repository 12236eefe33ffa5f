"""Where a cross-validation loses its Dice: what correcting one kind of error completely, and nothing else, would give.

    python benchmarks/error_kinds.py --runs 'RUNS/refined{fold}' --folds folds.csv --cache CACHE

Masks at probability 0.5 of the cached slices, of each fold's held-out patients, by its run; no classifier, no
calibration, no pieces dropped. An error is far from a border if it lies more than 3 pixels away, in its slice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from brain_tumor_training.bundles.fold_bundles import run_of_fold
from brain_tumor_training.calibration.fold_calibration import held_out_logits
from brain_tumor_training.data.folds import read_folds
from brain_tumor_training.metrics.overlap import count_slices, volumetric_dice

FAR_PX = 3

Mask = npt.NDArray[np.bool_]


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", required=True, metavar="PATTERN", help="finished runs, {fold} standing for the fold")
    parser.add_argument("--folds", type=Path, required=True, metavar="CSV", help="folds by patient")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="the runs' cache")
    parser.add_argument("--device", default="auto", metavar="D")
    arguments = parser.parse_args()

    folds = read_folds(arguments.folds)
    patients = [
        one
        for fold in sorted(set(folds.values()))
        for one in held_out_logits(
            run_of_fold(arguments.runs, fold),
            [name for name, number in folds.items() if number == fold],
            arguments.cache,
            arguments.device,
        )
    ]
    masks = [(one.logits > 0, one.mask) for one in patients]
    print(f"| corrected ({len(patients)} patients) | mean | median |\n|---|---|---|")
    for name, correct in CORRECTIONS.items():
        dice = [volumetric_dice(count_slices(correct(found, mask), mask)) for found, mask in masks]
        print(f"| {name} | {np.mean(dice):.3f} | {np.median(dice):.3f} |")


def finds_in_clear_slices(found: Mask, mask: Mask) -> Mask:
    """Found where the slice holds no tumour. All masks here: bool [S, H, W]."""
    return found & ~_slices_with(mask)


def far_finds(found: Mask, mask: Mask) -> Mask:
    """Found far from the tumour of a slice that holds some."""
    return found & _slices_with(mask) & (_distance_px(mask) > FAR_PX)


def missed_slices(found: Mask, mask: Mask) -> Mask:
    """Tumour in slices in which nothing is found."""
    return mask & ~_slices_with(found)


def far_misses(found: Mask, mask: Mask) -> Mask:
    """Tumour far from what is found in the same slice."""
    return mask & _slices_with(found) & (_distance_px(found) > FAR_PX)


def _all_corrected(found: Mask, mask: Mask) -> Mask:
    wrong = finds_in_clear_slices(found, mask) | far_finds(found, mask)
    return (found & ~wrong) | missed_slices(found, mask) | far_misses(found, mask)


def _slices_with(mask: Mask) -> Mask:
    return mask.any(axis=(1, 2))[:, None, None]


def _distance_px(mask: Mask) -> npt.NDArray[np.float64]:
    """To the mask in each slice; infinite in slices without any."""
    distance = np.full(mask.shape, np.inf)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        distance[index] = distance_transform_edt(~mask[index])
    return distance


CORRECTIONS: dict[str, Callable[[Mask, Mask], Mask]] = {
    "nothing": lambda found, _mask: found,
    "finds in slices without tumour": lambda found, mask: found & ~finds_in_clear_slices(found, mask),
    f"finds over {FAR_PX} pixels outside the tumour of their slice": lambda found, mask: (
        found & ~far_finds(found, mask)
    ),
    "tumour in slices in which nothing is found": lambda found, mask: found | missed_slices(found, mask),
    f"tumour over {FAR_PX} pixels from what its slice has": lambda found, mask: found | far_misses(found, mask),
    f"all four: borders within {FAR_PX} pixels stay": _all_corrected,
}


if __name__ == "__main__":
    main()
