from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.resampling import covered_fraction, head_foreground, resample_to_grid
from head_phantom import head


def moved_grid(image: sitk.Image, offset_lps: tuple[float, float, float]) -> Geometry:
    other = sitk.Image(image)
    other.SetOrigin(np.add(image.GetOrigin(), offset_lps).tolist())
    return Geometry.of_image(other)


def test_image_on_the_same_grid_is_untouched() -> None:
    flair, other = head(), head(inverted=True)
    assert resample_to_grid(other, flair) is other


def test_same_head_on_another_grid_lands_in_place() -> None:
    """The phantom drawn on FLAIR's grid itself is the expected value."""
    grid = head(inverted=True)
    fine = head((120, 140, 100), (1.6, 1.6, 1.4), (0.0, 12.0, -6.0), inverted=True)
    found = sitk.GetArrayFromImage(resample_to_grid(fine, grid)).astype(float)
    expected = sitk.GetArrayFromImage(grid).astype(float)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97


def test_outside_the_field_of_view_is_the_minimum_not_zero() -> None:
    flair = head()
    other = sitk.Cast(head((48, 56, 8)), sitk.sitkFloat32) - 500.0
    found = sitk.GetArrayFromImage(resample_to_grid(other, flair))
    assert found[0].max() == pytest.approx(sitk.GetArrayFromImage(other).min())


def test_same_grid_covers_everything() -> None:
    flair = head()
    assert covered_fraction(flair, Geometry.of_image(flair)) == 1.0


def test_grid_far_away_covers_nothing() -> None:
    flair = head()
    assert covered_fraction(flair, moved_grid(flair, (1000.0, 0.0, 0.0))) == 0.0


def test_covered_fraction_equals_what_simpleitk_fills() -> None:
    """Independent: a volume of ones resampled by SimpleITK, zero outside."""
    flair = head()
    geometry = moved_grid(flair, (25.0, -30.0, 20.0))
    ones = sitk.Image(*geometry.size_ijk, sitk.sitkUInt8) + 1
    ones.SetSpacing(geometry.spacing_mm)
    ones.SetOrigin(geometry.origin_lps)
    ones.SetDirection(geometry.direction_lps)
    filled = sitk.GetArrayFromImage(sitk.Resample(ones, flair, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    array = sitk.GetArrayFromImage(flair)
    assert covered_fraction(flair, geometry) == pytest.approx(filled[array > array.mean()].mean(), abs=0.01)


def test_transform_that_undoes_a_shift_restores_full_cover() -> None:
    flair = head()
    offset = (60.0, -40.0, 80.0)
    geometry = moved_grid(flair, offset)
    assert covered_fraction(flair, geometry) < 0.5
    assert covered_fraction(flair, geometry, sitk.TranslationTransform(3, offset)) == 1.0


def test_coverage_of_a_large_head_is_that_of_all_its_voxels() -> None:
    flair = head((200, 210, 170), (0.9, 0.9, 0.9), (0.0, 0.0, 0.0))
    lower = moved_grid(flair, (0.0, 0.0, -31.0))
    foreground = head_foreground(sitk.GetArrayFromImage(flair))
    assert foreground.sum() > 400_000  # so many that not all are looked at
    expected = foreground[: 170 - 34].sum() / foreground.sum()
    assert covered_fraction(flair, lower) == pytest.approx(expected, abs=0.01)
