"""A header whose spacing makes no head of what FLAIR shows is told; every real size passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.inference.head_size import head_size_warnings
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.resources import resource
from BrainTumorSegLib.engine.sample.study import FILE_PREFIX
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study

BRIGHT = 0.2
"""Of the brightest voxel: what counts as head here."""


@pytest.fixture(scope="module")
def sample() -> Study:
    return read_study(StudyPaths(resource(f"{FILE_PREFIX}flair.nii.gz")))


def scaled(study: Study, factor: float) -> Study:
    x, y, z = (factor * length for length in study.geometry.spacing_mm)
    return Study(study.flair, replace(study.geometry, spacing_mm=(x, y, z)))


def test_the_head_is_as_large_as_it_is_counted_without_the_engine(sample: Study) -> None:
    head = np.argwhere(sample.flair > BRIGHT * np.percentile(sample.flair, 99.9))
    _, rows, columns = np.percentile(head, 99.8, axis=0) - np.percentile(head, 0.2, axis=0)
    assert prepare(sample).head_mm == pytest.approx((rows * 0.9, columns * 0.9), rel=0.07)


@pytest.mark.parametrize("code", ["RAI", "PIR", "ASL"])
def test_the_order_of_the_axes_does_not_matter(sample: Study, code: str) -> None:
    turned = sitk.DICOMOrient(Volume(sample.flair, sample.geometry).to_image(), code)
    other = Study(sitk.GetArrayFromImage(turned), Geometry.of_image(turned))
    assert prepare(other).head_mm == pytest.approx(prepare(sample).head_mm)


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.0, 1.3])
def test_small_and_large_heads_pass(sample: Study, factor: float) -> None:
    assert head_size_warnings(prepare(scaled(sample, factor)).head_mm) == ()


@pytest.mark.parametrize("factor", [0.1, 0.3, 2.5, 10.0])
def test_a_head_of_no_human_size_is_told_with_its_size(sample: Study, factor: float) -> None:
    rows_mm, columns_mm = prepare(scaled(sample, factor)).head_mm
    (said,) = head_size_warnings((rows_mm, columns_mm))
    assert said.startswith(f"What FLAIR shows measures {rows_mm:.0f} x {columns_mm:.0f} mm")
    assert "so are the outline and every volume" in said
