"""Any threshold gives what the whole way through the engine would give."""

from __future__ import annotations

import numpy as np
import pytest

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.measurement.lesions import find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.mask import mask_from_probability
from BrainTumorSegLib.engine.measurement.sweep import ThresholdSweep
from BrainTumorSegLib.engine.study.geometry import Geometry
from result_phantoms import GRIDS, ellipsoid


def probability_of(geometry: Geometry, seed: int) -> np.ndarray:
    """Two blobs whose probability falls off outward, and a grain of noise far from both."""
    random = np.random.default_rng(seed)
    probability = np.zeros(geometry.shape_kji, np.float32)
    for centre in ((3.0, -14.0, 20.0), (14.0, -4.0, 27.0)):
        for radius, level in ((9.0, 0.2), (7.0, 0.45), (5.0, 0.7), (3.0, 0.95)):
            inside = ellipsoid(geometry, centre, (radius, radius * 0.8, radius))
            probability[inside] = np.maximum(probability[inside], level)
    probability[2, 3, 4] = 0.6
    noise = random.uniform(-0.1, 0.1, probability.shape).astype(np.float32)
    return np.clip(np.where(probability > 0, probability + noise, 0), 0, 1).astype(np.float32)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(
    ("threshold", "min_volume_ml"), [(0.05, 0.0), (0.3, 0.1), (0.5, 0.0), (0.8, 0.02), (0.95, 9.0)]
)
def test_a_threshold_gives_what_the_engine_gives(name: str, threshold: float, min_volume_ml: float) -> None:
    geometry = GRIDS[name]
    probability = probability_of(geometry, seed=len(name))
    sweep = ThresholdSweep(probability, geometry, lowest=0.05)
    found = sweep.outline(threshold, min_volume_ml)
    mask = mask_from_probability(probability, geometry, threshold, min_volume_ml)
    whole = np.zeros_like(mask)
    box = tuple(slice(start, start + size) for start, size in zip(found.start_kji, found.mask.shape, strict=True))
    whole[box] = found.mask
    np.testing.assert_array_equal(whole, mask)
    expected = find_lesions(mask, geometry)
    assert [(each.id, each.slices) for each in found.lesions] == [(each.id, each.slices) for each in expected]
    for mine, theirs in zip(found.lesions, expected, strict=True):
        assert mine.volume_ml == pytest.approx(theirs.volume_ml)
        assert mine.longest_diameter_mm == pytest.approx(theirs.longest_diameter_mm)
        assert mine.axial_diameters_mm == pytest.approx(theirs.axial_diameters_mm)
        assert mine.centroid_ras == pytest.approx(theirs.centroid_ras)
    areas = [each.area_mm2 for each in slice_measures(mask, probability, geometry)]
    assert found.areas_mm2 == pytest.approx(areas)
    assert sweep.volume_ml(threshold, min_volume_ml) == pytest.approx(mask.sum() * geometry.voxel_volume_ml)


def test_a_study_without_any_tumour_gives_none() -> None:
    geometry = GRIDS["axial"]
    sweep = ThresholdSweep(np.zeros(geometry.shape_kji, np.float32), geometry, lowest=0.05)
    found = sweep.outline(0.05, 0.0)
    assert not found.mask.any()
    assert found.lesions == ()
    assert len(found.areas_mm2) == 18


def test_a_threshold_below_the_lowest_is_a_defect() -> None:
    geometry = GRIDS["axial"]
    sweep = ThresholdSweep(np.zeros(geometry.shape_kji, np.float32), geometry, lowest=0.05)
    with pytest.raises(DefectError, match="threshold of 0.01 was asked for, but 0.05"):
        sweep.outline(0.01, 0.0)
