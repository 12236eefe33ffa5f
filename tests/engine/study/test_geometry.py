from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume, voxels_of
from head_phantom import head


def test_affine_takes_voxels_where_simpleitk_does() -> None:
    image = head()
    affine = Geometry.of_image(image).affine_lps
    for index in ((0, 0, 0), (5, 11, 3), (47, 55, 19)):
        np.testing.assert_allclose((affine @ (*index, 1))[:3], image.TransformIndexToPhysicalPoint(index), atol=1e-9)


def test_volume_survives_the_way_to_an_image_and_back() -> None:
    volume = Volume.of_image(head())
    again = Volume.of_image(volume.to_image())
    assert again.geometry.is_close_to(volume.geometry, 1e-12)
    np.testing.assert_array_equal(again.array, volume.array)


def test_mask_becomes_a_byte_image() -> None:
    volume = Volume.of_image(head())
    mask = Volume(np.asarray(volume.array) > 100, volume.geometry).to_image()
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert set(np.unique(sitk.GetArrayFromImage(mask))) == {0, 1}


def test_array_of_another_shape_is_refused() -> None:
    geometry = Geometry.of_image(head())
    with pytest.raises(DefectError, match=r"\(48, 56, 20\).*does not fit a grid of \(20, 56, 48\).*report it"):
        Volume(np.zeros(geometry.size_ijk), geometry)


@pytest.mark.parametrize(
    "changed",
    [
        {"size_ijk": (48, 56, 21)},
        {"spacing_mm": (4.0, 4.0, 7.001)},
        {"origin_lps": (0.0, 0.0, 0.0)},
        {"direction_lps": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_grids_differ_if_any_part_does(changed: dict[str, tuple[float, ...]]) -> None:
    geometry = Geometry.of_image(head())
    assert geometry.is_close_to(geometry)
    assert not geometry.is_close_to(dataclasses.replace(geometry, **changed))


def test_voxel_volume_is_in_millilitres() -> None:
    assert Geometry.of_image(head()).voxel_volume_ml == pytest.approx(4 * 4 * 7 / 1000)


def test_voxels_outlive_the_image_that_they_belong_to() -> None:
    image = head()
    expected = sitk.GetArrayFromImage(image)
    voxels = voxels_of(image)
    del image
    gc.collect()
    np.testing.assert_array_equal(voxels, expected)
    assert voxels.dtype == expected.dtype
    with pytest.raises(ValueError, match="read-only"):
        voxels[0, 0, 0] = 1


def test_voxels_of_an_image_are_no_copy() -> None:
    image = head()
    assert np.shares_memory(voxels_of(image), sitk.GetArrayViewFromImage(image))
