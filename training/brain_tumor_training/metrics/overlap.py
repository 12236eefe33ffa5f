"""Overlap of masks with references, in every definition that papers on this data set use, always named in full.

All are functions of counts per slice, so that no definition can see other voxels than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.errors import GeometryError

Count = npt.NDArray[np.int64] | int | np.int64

TVERSKY_FALSE_POSITIVES = 0.3
TVERSKY_FALSE_NEGATIVES = 0.7
"""The weights of Deng et al. (after Abraham and Khan 2019): what is missed weighs more."""


@dataclass(frozen=True)
class SliceCounts:
    """One patient's voxels by slice, each int64 [S], inferior first; all four together are the slice's voxels."""

    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]
    false_negatives: npt.NDArray[np.int64]
    true_negatives: npt.NDArray[np.int64]

    @property
    def with_tumour(self) -> npt.NDArray[np.bool_]:
        """Slices [S] whose reference is not empty."""
        return self.true_positives + self.false_negatives > 0

    @property
    def reference_voxels(self) -> int:
        """Size of the reference."""
        return int((self.true_positives + self.false_negatives).sum())

    @property
    def predicted_voxels(self) -> int:
        """Size of the prediction."""
        return int((self.true_positives + self.false_positives).sum())


def count_slices(predicted: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_]) -> SliceCounts:
    """Counts of two masks bool [S, H, W]. Raises GeometryError if their shapes differ."""
    if predicted.shape != reference.shape:
        raise GeometryError(
            f"The segmentation has the shape {predicted.shape}, its reference {reference.shape}.",
            "Give a reference on FLAIR's grid.",
        )
    both = [predicted & reference, predicted & ~reference, ~predicted & reference, ~predicted & ~reference]
    return SliceCounts(*(mask.sum(axis=(1, 2), dtype=np.int64) for mask in both))


def dice(true_positives: Count, false_positives: Count, false_negatives: Count) -> Any:
    """2 TP / (2 TP + FP + FN); 1 where prediction and reference are both empty."""
    return _ratio(2 * true_positives, 2 * true_positives + false_positives + false_negatives)


def iou(true_positives: Count, false_positives: Count, false_negatives: Count) -> Any:
    """TP / (TP + FP + FN), the Jaccard index; 1 where prediction and reference are both empty."""
    return _ratio(true_positives, true_positives + false_positives + false_negatives)


def tversky_index(true_positives: Count, false_positives: Count, false_negatives: Count) -> Any:
    """TP / (TP + 0.3 FP + 0.7 FN) (Tversky 1977; weights of Deng et al.); 1 where both are empty."""
    weighted = TVERSKY_FALSE_POSITIVES * false_positives + TVERSKY_FALSE_NEGATIVES * false_negatives
    return _ratio(true_positives, true_positives + weighted)


def volumetric_dice(counts: SliceCounts) -> float:
    """Dice of one patient, all slices taken as one mask."""
    return float(dice(*_totals([counts])[:3]))


def tumour_slice_dice(patients: Sequence[SliceCounts]) -> float:
    """Mean Dice over the slices whose reference is not empty."""
    return _mean_over_slices(dice, patients, tumour_only=True)


def tumour_slice_iou(patients: Sequence[SliceCounts]) -> float:
    """Mean IoU over the slices whose reference is not empty."""
    return _mean_over_slices(iou, patients, tumour_only=True)


def all_slice_dice(patients: Sequence[SliceCounts]) -> float:
    """Mean Dice over all slices with empty/empty = 1; predicting nothing scores the share of tumour-free slices."""
    return _mean_over_slices(dice, patients, tumour_only=False)


def all_slice_iou(patients: Sequence[SliceCounts]) -> float:
    """Mean IoU over all slices with empty/empty = 1; predicting nothing scores the share of tumour-free slices."""
    return _mean_over_slices(iou, patients, tumour_only=False)


def pooled_pixel_dice(patients: Sequence[SliceCounts]) -> float:
    """Dice of all voxels of all patients as one mask."""
    return float(dice(*_totals(patients)[:3]))


def pooled_pixel_iou(patients: Sequence[SliceCounts]) -> float:
    """IoU of all voxels of all patients as one mask."""
    return float(iou(*_totals(patients)[:3]))


def pooled_pixel_tversky_index(patients: Sequence[SliceCounts]) -> float:
    """Tversky index of all voxels of all patients as one mask."""
    return float(tversky_index(*_totals(patients)[:3]))


def pooled_pixel_accuracy(patients: Sequence[SliceCounts]) -> float:
    """Share of voxels that are right, background included; predicting nothing scores about 0.99."""
    totals = _totals(patients)
    return float((totals[0] + totals[3]) / sum(totals))


def false_positive_voxels_on_tumour_free_slices(counts: SliceCounts) -> int:
    """Voxels predicted in the slices of one patient whose reference is empty."""
    return int(counts.false_positives[~counts.with_tumour].sum())


SLICE_METRICS = {
    metric.__name__: metric
    for metric in (
        tumour_slice_dice,
        tumour_slice_iou,
        all_slice_dice,
        all_slice_iou,
        pooled_pixel_dice,
        pooled_pixel_iou,
        pooled_pixel_tversky_index,
        pooled_pixel_accuracy,
    )
}
"""Metrics of a group of patients by name."""


def _mean_over_slices(measure: Any, patients: Sequence[SliceCounts], tumour_only: bool) -> float:
    """NaN if there is no such slice."""
    values = [measure(p.true_positives, p.false_positives, p.false_negatives) for p in patients]
    chosen = np.concatenate([p.with_tumour if tumour_only else np.ones(len(p.with_tumour), bool) for p in patients])
    kept = np.concatenate(values)[chosen]
    return float(kept.mean()) if len(kept) else float("nan")


def _totals(patients: Sequence[SliceCounts]) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, true negatives of all slices of all patients."""
    return (
        sum(int(p.true_positives.sum()) for p in patients),
        sum(int(p.false_positives.sum()) for p in patients),
        sum(int(p.false_negatives.sum()) for p in patients),
        sum(int(p.true_negatives.sum()) for p in patients),
    )


def _ratio(numerator: Any, denominator: Any) -> Any:
    """1 where the denominator is 0, which for overlaps means that both masks are empty."""
    empty = np.asarray(denominator) == 0
    return np.where(empty, 1.0, np.asarray(numerator) / np.where(empty, 1, denominator))
