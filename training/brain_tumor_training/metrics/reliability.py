"""Whether probabilities mean what they say: how often there is tumour where a model says 0.7."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

BINS = 15

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reliability:
    """Sums by bins of predicted probability, equal in width from 0 to 1, each [BINS].

    count: voxels or slices. predicted: sum of their probabilities. positive: how many of them hold tumour.
    """

    count: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.float64]
    positive: npt.NDArray[np.int64]

    @property
    def calibration_error(self) -> float:
        """Mean distance of probability from frequency, weighted by count (ECE; Guo et al. 2017). NaN without values."""
        total = self.count.sum()
        return float(np.abs(self.predicted - self.positive).sum() / total) if total else float("nan")

    def points(self) -> list[dict[str, float]]:
        """Mean probability, frequency and count of each bin that holds something."""
        return [
            {"probability": float(p / n), "frequency": float(k / n), "count": int(n)}
            for n, p, k in zip(self.count, self.predicted, self.positive, strict=True)
            if n
        ]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"expected_calibration_error": self.calibration_error, "points": self.points()}


def reliability(probability: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.bool_]) -> Reliability:
    """Of probabilities 0-1 and whether each has tumour, both of one shape."""
    values, positive = probability.ravel(), truth.ravel()
    bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    return Reliability(
        np.bincount(bins, minlength=BINS),
        np.bincount(bins, weights=values, minlength=BINS).astype(np.float64),
        np.bincount(bins[positive], minlength=BINS),
    )


def surroundings(found: Mask, truth: Mask, reach_px: float) -> Mask:
    """Where tumour is at issue: the pixels of each slice within a reach of what was found or of the truth there.

    found and truth: bool [S, H, W]. Elsewhere a voxel is easily right, and hides the error of those that are not: so
    calibration is often measured around the segment only (Mehrtash et al., IEEE Trans Med Imaging 2020).
    """
    around = np.zeros_like(truth)
    for plane, either in zip(around, found | truth, strict=True):
        if either.any():
            plane[:] = distance_transform_edt(~either) <= reach_px
    return around


def pooled(parts: Iterable[Reliability]) -> Reliability:
    """Of all parts together."""
    parts = list(parts)
    zeros = np.zeros(BINS, np.int64)
    return Reliability(
        sum((part.count for part in parts), zeros),
        sum((part.predicted for part in parts), zeros.astype(np.float64)),
        sum((part.positive for part in parts), zeros),
    )
