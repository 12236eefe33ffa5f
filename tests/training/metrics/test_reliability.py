import numpy as np
import pytest

from brain_tumor_training.metrics.reliability import pooled, reliability


def test_a_bin_counted_by_hand() -> None:
    found = reliability(np.array([0.71, 0.72, 0.70, 0.1]), np.array([True, True, False, False]))
    assert found.points() == [
        {"probability": pytest.approx(0.1), "frequency": 0.0, "count": 1},
        {"probability": pytest.approx(0.71), "frequency": pytest.approx(2 / 3), "count": 3},
    ]
    assert found.calibration_error == pytest.approx((0.1 + (2.13 - 2)) / 4)


def test_probabilities_that_mean_what_they_say_have_no_error() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    truth = rng.random(200_000) < probability
    assert reliability(probability, truth).calibration_error < 0.01
    assert reliability(probability**3, truth).calibration_error > 0.1


def test_parts_pool_to_the_whole() -> None:
    rng = np.random.default_rng(1)
    probability, truth = rng.random((4, 50)), rng.random((4, 50)) < 0.3
    parts = pooled(reliability(p, t) for p, t in zip(probability, truth, strict=True))
    whole = reliability(probability, truth)
    assert parts.calibration_error == pytest.approx(whole.calibration_error)
    np.testing.assert_array_equal(parts.count, whole.count)


def test_certainty_falls_into_the_last_bin() -> None:
    assert reliability(np.array([1.0]), np.array([True])).calibration_error == 0
