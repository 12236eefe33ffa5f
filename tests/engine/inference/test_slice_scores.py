import numpy as np
import pytest

from BrainTumorSegLib.engine.inference.slice_scores import between_slices, highest_nearby, slice_probabilities


def test_a_slice_counts_half_and_its_neighbours_a_quarter_each() -> None:
    logits = np.array([0.0, 0.0, 4.0, 0.0, 8.0])
    np.testing.assert_allclose(between_slices(logits, 1), [0, 1, 2, 3, 6])  # behind the end comes 8 again


def test_thin_slices_reach_as_far_in_millimetres() -> None:
    thick = np.cumsum(np.random.default_rng(3).normal(size=30))
    thin = np.interp(np.arange(0, 29.1, 0.2), np.arange(30), thick)  # five slices for one
    inside = slice(3, 27)
    expected = between_slices(thick, 1)[inside]
    np.testing.assert_allclose(between_slices(thin, 5)[::5][inside], expected, atol=0.3)
    assert not np.allclose(between_slices(thin, 1)[::5][inside], expected, atol=0.3)


def test_equal_slices_and_a_single_slice_keep_their_logit() -> None:
    np.testing.assert_allclose(between_slices(np.full(7, -3.5, np.float16), 4), -3.5)
    np.testing.assert_allclose(between_slices(np.array([2.0]), 1), 2.0)


def test_the_gate_sees_the_highest_of_a_slice_and_its_neighbours() -> None:
    probabilities = np.array([0.1, 0.2, 0.1, 0.9, 0.3, 0.4, 0.1], np.float32)
    np.testing.assert_array_equal(highest_nearby(probabilities, 1), np.float32([0.2, 0.2, 0.9, 0.9, 0.9, 0.4, 0.4]))
    np.testing.assert_array_equal(highest_nearby(probabilities, 2), np.float32([0.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.4]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_probabilities_are_the_logistic_function_of_calibrated_logits(temperature: float) -> None:
    logits = np.linspace(-400, 400, 9)
    found = slice_probabilities(logits, 1, temperature)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-between_slices(logits, 1) / temperature))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
