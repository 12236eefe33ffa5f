"""Confidence intervals that treat patients, not slices, as what was sampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Case = TypeVar("Case")

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; all NaN where the value is not defined."""

    value: float
    low: float
    high: float


def patient_bootstrap(
    patients: Sequence[Case], statistic: Callable[[Sequence[Case]], float], seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """The statistic of the patients, and the 2.5th and 97.5th percentile of it over patients drawn with replacement.

    A patient is drawn with all slices (cluster bootstrap; Efron and Tibshirani 1993). Samples in which the
    statistic is not defined (NaN) are left out of the interval.
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(patients), size=(resamples, len(patients)))
    values = np.array([statistic([patients[index] for index in draw]) for draw in draws])
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, (2.5, 97.5)) if len(values) else (math.nan, math.nan)
    return Estimate(float(statistic(patients)), float(low), float(high))
