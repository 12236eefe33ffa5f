from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import DefectError, GeometryError
from BrainTumorSegLib.engine.inference.normalisation import normalise_sequence
from BrainTumorSegLib.engine.inference.preprocessing import AxialSlices, neighbour_step, prepare
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.study import Study

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _study(
    size_ijk: tuple[int, int, int] = (200, 220, 12), spacing_mm: tuple[float, float, float] = (0.9, 0.9, 5.0)
) -> Study:
    """An off-centre oval head with a smooth gradient and a bright patch at the patient's right front."""
    i, j, k = size_ijk
    x = (np.arange(i) - i * 0.5) * spacing_mm[0]
    y = (np.arange(j) - j * 0.55) * spacing_mm[1]
    z = (np.arange(k) - k * 0.5) * spacing_mm[2]
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    inside = (xx / (0.36 * i * spacing_mm[0])) ** 2 + (yy / (0.4 * j * spacing_mm[1])) ** 2 < 1
    values = np.where(inside, 100 + 0.05 * xx + 0.03 * yy + 0.1 * zz, 0).astype(np.float32)
    values[inside & (xx < -20) & (yy < -20)] += 60
    values[xx**2 + yy**2 < (0.06 * i * spacing_mm[0]) ** 2] = 1  # fluid: the darkest part of every head on FLAIR
    return Study(values, Geometry(size_ijk, spacing_mm, (-80.0, -90.0, -30.0), AXIAL))


def _reoriented(study: Study, code: str) -> Study:
    image = sitk.DICOMOrient(Volume(study.flair, study.geometry).to_image(), code)
    return Study(sitk.GetArrayFromImage(image), Geometry.of_image(image))


def test_slices_have_the_networks_size_and_missing_sequences_are_flair() -> None:
    slices = prepare(_study())
    assert slices.sequences.shape == (3, 12, 256, 256)
    np.testing.assert_array_equal(slices.sequences[0], slices.sequences[1])
    np.testing.assert_array_equal(slices.sequences[2], slices.sequences[1])


def test_sampling_within_the_training_range_is_not_interpolated() -> None:
    study = _study()
    expected = normalise_sequence(study.flair)
    view = prepare(study).sequences[1]
    np.testing.assert_array_equal(view[:, 18:238, 28:228], expected)
    assert (view[:, :18] == -1).all()


@pytest.mark.parametrize("code", ["LPS", "RAI", "PIR", "LIP", "ASL", "SPR"])
def test_every_orientation_gives_the_same_slices(code: str) -> None:
    study = _study()
    np.testing.assert_allclose(prepare(_reoriented(study, code)).sequences, prepare(study).sequences, rtol=0, atol=1e-5)


@pytest.mark.parametrize("code", ["LPS", "RAI", "PIR", "ASL"])
def test_restore_is_the_exact_inverse_on_every_orientation(code: str) -> None:
    study = _reoriented(_study(), code)
    slices = prepare(study)
    np.testing.assert_allclose(slices.restore(slices.sequences[1] + 1), normalise_sequence(study.flair) + 1, atol=1e-5)


@pytest.mark.parametrize(
    ("size_ijk", "spacing_mm"),
    [((512, 512, 6), (0.45, 0.45, 5.0)), ((96, 110, 6), (1.9, 1.9, 5.0)), ((180, 300, 6), (1.2, 0.7, 5.0))],
    ids=["fine", "coarse", "oblong pixels"],
)
def test_other_sampling_is_brought_to_the_networks_and_back(
    size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    study = _study(size_ijk, spacing_mm)
    slices = prepare(study)
    head_mm2 = (study.flair[3] > 50).sum() * spacing_mm[0] * spacing_mm[1]
    assert (slices.sequences[1, 3] > -0.5).sum() * 0.9**2 == pytest.approx(head_mm2, rel=0.03)
    restored = slices.restore((slices.sequences[1] > -0.5).astype(np.float32)) > 0.5
    truth = study.flair > 50
    assert 2 * (restored & truth).sum() / (restored.sum() + truth.sum()) > 0.985


def test_a_head_larger_than_the_view_is_sampled_more_coarsely_rather_than_cut() -> None:
    study = _study((400, 400, 4), (1.0, 1.0, 5.0))
    slices = prepare(study)
    assert (slices.sequences[1] > -0.5).any(axis=(0, 1)).sum() <= 256
    restored = slices.restore((slices.sequences[1] > -0.5).astype(np.float32)) > 0.5
    truth = study.flair > 50
    assert 2 * (restored & truth).sum() / (restored.sum() + truth.sum()) > 0.98


def test_a_small_head_off_centre_in_a_large_field_is_in_view() -> None:
    small = _study((180, 200, 4))
    field = np.zeros((4, 420, 420), np.float32)
    field[:, 210:410, 10:190] = small.flair
    study = Study(field, replace(small.geometry, size_ijk=(420, 420, 4)))
    assert (prepare(study).sequences[1] > -0.5).sum() == (prepare(small).sequences[1] > -0.5).sum()


def test_channels_take_the_neighbours_and_repeat_the_ends() -> None:
    slices = prepare(_study())
    stack = slices.channels(("flair_below", "flair", "flair_above"), np.array([0, 5, 11]))
    flair = slices.sequences[1]
    assert stack.shape == (3, 3, 256, 256)
    np.testing.assert_array_equal(stack[0], flair[[0, 0, 1]])
    np.testing.assert_array_equal(stack[1], flair[[4, 5, 6]])
    np.testing.assert_array_equal(stack[2], flair[[10, 11, 11]])


def test_coarser_channels_are_the_means_of_blocks_as_simpleitk_shrinks_them() -> None:
    slices = prepare(_study())
    coarse = slices.channels(("flair",), np.array([5]), 128)[0, 0]
    filtered = sitk.BinShrink(sitk.GetImageFromArray(slices.sequences[1, 5]), [2, 2])
    np.testing.assert_allclose(coarse, sitk.GetArrayFromImage(filtered), atol=1e-5)
    with pytest.raises(GeometryError, match=r"256 x 256 pixels can't be brought to 100 x 100"):
        slices.channels(("flair",), np.array([5]), 100)


@pytest.mark.parametrize(
    ("slices", "distance_mm", "step"),
    [(24, 5.5, 1), (155, 1.0, 5), (176, 0.9, 6), (24, 1.0, 1), (60, 2.5, 2)],
    ids=["thick", "1 mm isotropic", "0.9 mm", "header without distance", "2.5 mm"],
)
def test_neighbours_lie_about_five_millimetres_away(slices: int, distance_mm: float, step: int) -> None:
    assert neighbour_step(slices, distance_mm) == step


def test_restoring_another_shape_is_refused() -> None:
    slices: AxialSlices = prepare(_study())
    with pytest.raises(DefectError, match=r"\(3, 256, 256\) do not fit the slices \(12, 256, 256\)"):
        slices.restore(np.zeros((3, 256, 256), np.float32))


@pytest.mark.parametrize("spacing_mm", [(0.9, 0.9, 5.0), (0.5, 0.5, 5.0)], ids=["as it is", "resampled"])
def test_the_way_back_can_be_gone_again(spacing_mm: tuple[float, float, float]) -> None:
    slices = prepare(_study((300, 320, 12), spacing_mm))
    once, again = (slices.restore(slices.sequences[1]) for _ in range(2))
    np.testing.assert_array_equal(once, again)
