import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from brain_tumor_training.metrics.reliability import BINS, pooled, reliability, surroundings


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


def test_points_are_those_of_scikit_learn() -> None:
    """Its bins are open below and ours above: no value lies on an edge here."""
    rng = np.random.default_rng(2)
    probability = rng.random(5000) ** 2
    truth = rng.random(5000) < probability**1.5
    found = reliability(probability, truth)
    frequency, predicted = calibration_curve(truth, probability, n_bins=BINS)
    assert [one["probability"] for one in found.points()] == pytest.approx(predicted)
    assert [one["frequency"] for one in found.points()] == pytest.approx(frequency)
    share = np.histogram(probability, BINS, (0, 1))[0] / len(probability)
    assert found.calibration_error == pytest.approx((share * np.abs(frequency - predicted)).sum())
    assert found.calibration_error > 0.05


def test_surroundings_are_near_what_was_found_or_missed_in_the_same_slice() -> None:
    found, truth = np.zeros((2, 3, 30, 40), bool)
    found[0, 10, 10] = truth[0, 10, 30] = truth[2, 3, 3] = True
    around = surroundings(found, truth, 5.0)
    rows, columns = np.indices((30, 40))
    near = [np.hypot(rows - 10, columns - at) <= 5 for at in (10, 30)]
    np.testing.assert_array_equal(around[0], near[0] | near[1])
    assert not around[1].any()
    np.testing.assert_array_equal(around[2], np.hypot(rows - 3, columns - 3) <= 5)
