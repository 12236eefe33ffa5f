"""Thin slices are seen as slabs of the training data's thickness; SciPy's box filter is the reference."""

import numpy as np
import pytest
from scipy import ndimage

from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.inference.thickness import from_slabs, to_slabs
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Study

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _noise(slices: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(slices, 6, 7)).astype(np.float32)


@pytest.mark.parametrize("step", [2, 5, 6])
def test_a_slab_is_the_mean_of_the_slices_about_its_own(step: int) -> None:
    slices = _noise(40)
    expected = ndimage.uniform_filter1d(slices, step, axis=0, mode="nearest")
    to_slabs(slices, step)
    np.testing.assert_allclose(slices, expected, atol=1e-6)


@pytest.mark.parametrize("step", [2, 5, 6])
def test_a_slice_is_the_mean_of_the_slabs_that_hold_it(step: int) -> None:
    alone = np.zeros((40, 1, 1), np.float32)
    alone[20] = 1
    seen_by = alone.copy()
    to_slabs(seen_by, step)
    holding = np.flatnonzero(seen_by)
    values = _noise(40)
    expected = values[holding].mean(axis=0)
    from_slabs(values, step)
    assert len(holding) == step
    np.testing.assert_allclose(values[20], expected, atol=1e-6)


@pytest.mark.parametrize("step", [2, 5, 6])
def test_there_and_back_shifts_nothing(step: int) -> None:
    values = np.zeros((41, 1, 1), np.float32)
    values[20] = 1
    to_slabs(values, step)
    from_slabs(values, step)
    np.testing.assert_allclose(values, values[::-1], atol=1e-7)
    assert values.sum() == pytest.approx(1)


def test_slices_as_thick_as_the_training_datas_stay_as_they_are() -> None:
    slices = _noise(12)
    before = slices.tobytes()
    to_slabs(slices, 1)
    from_slabs(slices, 1)
    assert slices.tobytes() == before


def _head(slice_mm: float) -> Study:
    """The mean over each slice of a head that changes along its axis; the same tissue at every thickness."""
    fine_mm = 0.5
    z, y, x = np.mgrid[: round(125 / fine_mm), -40:40, -36:36].astype(np.float32)
    z *= fine_mm
    tissue = np.where((y / 36) ** 2 + (x / 32) ** 2 < 1, 100 + 20 * np.sin(z / 9), 0)
    tissue[((z - 62) / 11) ** 2 + ((y - 8) / 12) ** 2 + ((x + 9) / 10) ** 2 < 1] = 190
    tissue[y**2 + x**2 < 36] = 5
    per_slice = round(slice_mm / fine_mm)
    flair = tissue.reshape(-1, per_slice, *tissue.shape[1:]).mean(axis=1).astype(np.float32)
    return Study(flair, Geometry((72, 80, len(flair)), (0.9, 0.9, slice_mm), (0.0, 0.0, slice_mm / 2), IDENTITY))


def test_networks_see_of_thin_slices_what_they_see_of_thick_ones() -> None:
    thin, thick = prepare(_head(1.0)), prepare(_head(5.0))
    assert (thin.neighbour_step, thick.neighbour_step) == (5, 1)
    # Slab 5 n + 2 of the thin study is slice n of the thick one; the two scales differ by a partial volume.
    np.testing.assert_allclose(thin.sequences[:, 2::5], thick.sequences, atol=0.02)
    channels, middles = ("t1", "flair", "t1c", "flair_below", "flair_above"), np.arange(1, 24)
    seen = thin.channels(channels, 5 * middles + 2)
    np.testing.assert_allclose(seen, thick.channels(channels, middles), atol=0.02)
