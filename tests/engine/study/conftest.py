"""Fixtures for tests of reading and placing a study."""

from __future__ import annotations

import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.sample.study import SamplePaths


@pytest.fixture(scope="module")
def flair(sample_study: SamplePaths) -> sitk.Image:
    return sitk.ReadImage(str(sample_study.flair), sitk.sitkFloat32)


@pytest.fixture(scope="module")
def t1(sample_study: SamplePaths) -> sitk.Image:
    return sitk.ReadImage(str(sample_study.t1), sitk.sitkFloat32)
