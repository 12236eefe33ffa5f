"""The header is believed unless the images contradict it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, GeometryError, Remedy
from BrainTumorSegLib.engine.study.alignment import Aligned, by_evidence, by_header, by_registration, onto_flair
from BrainTumorSegLib.engine.study.roles import Role


@pytest.fixture(scope="module")
def align(flair: sitk.Image) -> Callable[[sitk.Image], Aligned]:
    return partial(onto_flair, flair, Role.T1, alignment=by_evidence, is_cancelled=lambda: False)


def moved(image: sitk.Image, degrees: float, shift_mm: float, seed: int) -> tuple[sitk.Image, sitk.Euler3DTransform]:
    """The same voxels after a motion about the image's centre, axes drawn at random; and the motion."""
    axes = np.random.default_rng(seed).normal(size=(2, 3))
    turn, shift = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    centre = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    motion = sitk.Euler3DTransform(centre, *(np.radians(degrees) * turn).tolist(), (shift_mm * shift).tolist())
    after = sitk.Image(image)
    rotation, direction = (np.reshape(one, (3, 3)) for one in (motion.GetMatrix(), image.GetDirection()))
    after.SetOrigin(motion.TransformPoint(image.GetOrigin()))
    after.SetDirection((rotation @ direction).ravel().tolist())
    return after, motion


@pytest.mark.parametrize(("degrees", "shift_mm", "seed"), [(0.0, 0.0, 1), (0.5, 1.0, 2), (1.0, 2.0, 3)])
def test_a_sequence_that_lies_right_stays_where_its_header_puts_it(
    align: Callable[[sitk.Image], Aligned],
    flair: sitk.Image,
    t1: sitk.Image,
    degrees: float,
    shift_mm: float,
    seed: int,
) -> None:
    other, _ = moved(t1, degrees, shift_mm, seed)
    aligned = align(other)
    assert (aligned.motion, aligned.warnings, aligned.remedies) == (None, (), ())
    by_its_header = sitk.Resample(other, flair, sitk.Transform(), sitk.sitkLinear, 0.0)
    inside = sitk.GetArrayFromImage(by_its_header) > 0
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(aligned.image)[inside], sitk.GetArrayFromImage(by_its_header)[inside]
    )


@pytest.mark.parametrize(("degrees", "shift_mm", "seed"), [(4.0, 7.0, 1), (14.0, 16.0, 2), (5.0, 25.0, 3)])
def test_a_patient_who_moved_is_brought_back_and_told_in_one_sentence(
    align: Callable[[sitk.Image], Aligned], t1: sitk.Image, degrees: float, shift_mm: float, seed: int
) -> None:
    other, motion = moved(t1, degrees, shift_mm, seed)
    aligned = align(other)
    (sentence,) = aligned.warnings
    assert re.fullmatch(r"T1 was moved by \d+\.\d mm and turned by \d+\.\d degrees to fit FLAIR\.", sentence)
    assert aligned.motion is not None
    assert aligned.remedies == ()
    matrix = np.reshape(aligned.motion.flair_to_sequence_lps, (4, 4))
    for point in ((-55.0, 0.0, 0.0), (0.0, 70.0, 0.0), (0.0, 0.0, 40.0)):
        assert np.linalg.norm((matrix @ [*point, 1.0])[:3] - motion.TransformPoint(point)) < 1.0


def test_a_smaller_field_of_view_that_lies_right_is_told_but_not_moved(
    align: Callable[[sitk.Image], Aligned], t1: sitk.Image
) -> None:
    aligned = align(t1[:, :, t1.GetSize()[2] // 2 :])
    assert aligned.motion is None
    assert re.fullmatch(r"T1 covers only \d\d% of the head in FLAIR\. .*check how they overlay\.", *aligned.warnings)
    assert aligned.remedies == (), "registering it was tried"


def test_a_sequence_elsewhere_is_never_moved_unasked(
    align: Callable[[sitk.Image], Aligned], flair: sitk.Image, t1: sitk.Image
) -> None:
    """It may be another patient's."""
    away = sitk.Image(t1)
    away.SetOrigin(np.add(t1.GetOrigin(), (0.0, 500.0, 0.0)).tolist())
    with pytest.raises(GeometryError, match="by their headers they lie apart") as raised:
        align(away)
    assert raised.value.remedy is Remedy.REGISTER
    aligned = onto_flair(flair, Role.T1, away, by_registration, lambda: False)
    assert aligned.motion is not None
    assert aligned.motion.shift_mm == pytest.approx(500, abs=2)


def test_a_sequence_on_flairs_own_grid_stays(flair: sitk.Image) -> None:
    """Someone brought it there: here mirrored, which no motion mends."""
    mirrored = sitk.GetImageFromArray(sitk.GetArrayFromImage(flair)[:, :, ::-1].copy())
    mirrored.CopyInformation(flair)
    aligned = onto_flair(flair, Role.T1, mirrored, by_evidence, lambda: False)
    assert aligned.motion is None
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(aligned.image), sitk.GetArrayViewFromImage(mirrored))


def test_off_believes_the_header_and_offers_to_register(flair: sitk.Image, t1: sitk.Image) -> None:
    other, _ = moved(t1, 0.0, 60.0, 4)
    aligned = onto_flair(flair, Role.T1, other, by_header, lambda: False)
    assert aligned.motion is None
    assert aligned.remedies == (Remedy.REGISTER,)


def test_cancel_stops_it(flair: sitk.Image, t1: sitk.Image) -> None:
    other, _ = moved(t1, 4.0, 9.0, 5)
    with pytest.raises(Cancelled):
        onto_flair(flair, Role.T1, other, by_evidence, lambda: True)
