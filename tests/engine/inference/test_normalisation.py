import numpy as np
import pytest

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND, BRIGHTEST, Scale, normalise_sequence


def _head(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A ball of tissue (100) in a bright shell (250) in dark noisy air, and the ball's mask."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[-8:8, -32:32, -32:32]
    radius = np.sqrt((2 * z) ** 2 + y**2 + x**2)
    volume = rng.normal(3, 1, radius.shape).clip(0)
    volume[radius < 28] = rng.normal(250, 5, radius.shape)[radius < 28]
    brain = radius < 25
    volume[brain] = rng.normal(100, 8, radius.shape)[brain]
    return volume, brain


def test_air_becomes_background_and_tissue_zero() -> None:
    volume, brain = _head()
    scaled = normalise_sequence(volume)
    assert scaled.dtype == np.float32
    assert np.median(scaled[brain]) == pytest.approx(0.0, abs=0.05)
    assert np.median(scaled[volume < 10]) == pytest.approx(BACKGROUND, abs=0.05)
    assert scaled.min() >= BACKGROUND
    assert scaled.max() <= BRIGHTEST


@pytest.mark.parametrize("factor", [0.3, 3.0, 1000.0], ids=str)
def test_brightness_does_not_change_the_result(factor: float) -> None:
    volume, _ = _head()
    np.testing.assert_allclose(normalise_sequence(volume * factor), normalise_sequence(volume), atol=1e-4)


def test_brain_masked_study_gets_the_scale_of_the_whole_head() -> None:
    volume, brain = _head()
    whole, masked = normalise_sequence(volume), normalise_sequence(np.where(brain, volume, 0))
    assert np.median(masked[brain]) == pytest.approx(np.median(whole[brain]), abs=0.08)


def test_z_scored_brain_with_zero_background_keeps_dark_and_bright_tissue_apart() -> None:
    volume, brain = _head()
    z_scored = np.where(brain, (volume - volume[brain].mean()) / volume[brain].std(), 0.0)
    scaled = normalise_sequence(z_scored)
    assert (scaled[~brain] == BACKGROUND).all()
    assert np.corrcoef(scaled[brain], volume[brain])[0, 1] > 0.99


def test_a_volume_without_contrast_is_refused_with_its_value() -> None:
    with pytest.raises(InputError, match=r"no contrast: almost all voxels have the value 7\. Choose a series"):
        normalise_sequence(np.full((3, 16, 16), 7.0))


@pytest.mark.parametrize("sides", [(3, 16, 16), (5, 17, 19)], ids=["even", "odd"])
@pytest.mark.parametrize("seed", range(4))
def test_the_scale_is_that_of_numpy_s_percentiles_and_median(sides: tuple[int, ...], seed: int) -> None:
    volume = np.random.default_rng(seed).normal(50, 30, sides).astype(np.float32)
    low, high = np.percentile(volume, (0.5, 99.5))
    tissue = np.median(volume[volume > low + 0.25 * (high - low)].astype(np.float64)) - low
    assert (Scale.of(volume).low, Scale.of(volume).tissue) == (np.float32(low), np.float32(tissue))
