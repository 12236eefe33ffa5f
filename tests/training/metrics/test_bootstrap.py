import math

import numpy as np
import pytest
from scipy import stats

from brain_tumor_training.metrics.bootstrap import patient_bootstrap


def _mean(values: object) -> float:
    return float(np.mean(values))


def test_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).normal(0.85, 0.1, 40).tolist()
    ours = patient_bootstrap(values, _mean, seed=0, resamples=4000)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert ours.value == pytest.approx(np.mean(values))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values = [0.1, 0.5, 0.7, 0.9]
    assert patient_bootstrap(values, _mean, 1, 200) == patient_bootstrap(values, _mean, 1, 200)
    assert patient_bootstrap(values, _mean, 1, 200) != patient_bootstrap(values, _mean, 2, 200)


def test_samples_without_a_value_do_not_reach_the_interval() -> None:
    def mean_of_known(values: object) -> float:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else math.nan

    estimate = patient_bootstrap([None, 0.5], mean_of_known, seed=0, resamples=50)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)
