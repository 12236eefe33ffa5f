import numpy as np
import pytest

from BrainTumorSegLib.engine.inference.order_statistics import value_at

_SHARES = (0.0, 0.005, 0.3, 0.5, 0.995, 1.0)


def _by_sorting(values: np.ndarray, place: float) -> float:
    ordered = np.sort(values).astype(np.float64)
    return float(np.interp(place, np.arange(len(values)), ordered))


@pytest.mark.parametrize("seed", range(300))
def test_a_few_values_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-4, 4, rng.integers(1, 60)).astype(np.float32)
    place = rng.choice([0.0, 1.0, rng.random()]) * (len(values) - 1)
    assert value_at(values, place) == pytest.approx(_by_sorting(values, place), abs=1e-6)


@pytest.mark.parametrize("count", [16_383, 16_384, 16_385, 100_003])
@pytest.mark.parametrize("share", _SHARES)
@pytest.mark.parametrize("kind", ["any", "counts", "one", "mostly zero"])
def test_many_values_of_any_kind(count: int, share: float, kind: str) -> None:
    values = {
        "any": np.random.default_rng(1).normal(300, 100, count),
        "counts": np.random.default_rng(2).poisson(5, count),
        "one": np.full(count, 7),
        "mostly zero": np.maximum(np.random.default_rng(3).normal(-200, 100, count), 0),
    }[kind].astype(np.float32)
    before = values.copy()
    assert value_at(values, share * (count - 1)) == pytest.approx(_by_sorting(values, share * (count - 1)), rel=1e-6)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("share", _SHARES)
def test_a_sample_that_is_unlike_the_rest_only_takes_longer(share: float) -> None:
    # Every seventh value, which is what is sampled of this many, is air; the tissue is all elsewhere.
    values = np.random.default_rng(4).normal(500, 100, 7 * 16_384).astype(np.float32)
    values[::7] = 0
    assert value_at(values, share * (len(values) - 1)) == pytest.approx(
        _by_sorting(values, share * (len(values) - 1)), rel=1e-6
    )


def test_a_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN among the values"):
        value_at(np.array([1, np.nan, 2], np.float32), 1.5)
