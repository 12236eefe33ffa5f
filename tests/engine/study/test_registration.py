from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, InputError
from BrainTumorSegLib.engine.study.registration import register_rigidly

MOTIONS = {
    "none": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    "a patient who moved": ((-8.0, 5.0, 10.0), (6.0, 4.0, -16.0)),
    "another frame of reference": ((3.0, 0.0, -4.0), (150.0, -90.0, 210.0)),
}


def never() -> bool:
    return False


def moved(
    image: sitk.Image, degrees: tuple[float, float, float], shift_mm: tuple[float, float, float]
) -> tuple[sitk.Image, sitk.Euler3DTransform]:
    """The same voxels after a rigid motion of the patient, and the motion (old points -> new points)."""
    motion = sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians(degrees).tolist(), shift_mm)
    after = sitk.Image(image)
    after.SetOrigin(motion.TransformPoint(image.GetOrigin()))
    rotation, direction = (np.reshape(one, (3, 3)) for one in (motion.GetMatrix(), image.GetDirection()))
    after.SetDirection((rotation @ direction).ravel().tolist())
    return after, motion


@pytest.mark.parametrize(("degrees", "shift_mm"), MOTIONS.values(), ids=MOTIONS.keys())
def test_known_motion_is_recovered_within_a_millimetre(
    flair: sitk.Image, t1: sitk.Image, degrees: tuple[float, float, float], shift_mm: tuple[float, float, float]
) -> None:
    """The sample's sequences show one head in one position; errors at the corners of the brain's box."""
    other, motion = moved(t1, degrees, shift_mm)
    found = register_rigidly(flair, other, never).transform
    corners = itertools.product((-55.0, 55.0), (-70.0, 70.0), (-40.0, 40.0))
    errors = [np.subtract(found.TransformPoint(p), motion.TransformPoint(p)) for p in corners]
    assert np.linalg.norm(errors, axis=1).max() < 1.0


def test_size_of_the_motion_is_told(flair: sitk.Image, t1: sitk.Image) -> None:
    other, motion = moved(t1, (0.0, 0.0, 12.0), (0.0, 0.0, 9.0))
    found = register_rigidly(flair, other, never)
    assert found.angle_degrees == pytest.approx(12, abs=0.5)
    centre = found.transform.GetCenter()
    assert found.shift_mm == pytest.approx(np.linalg.norm(np.subtract(motion.TransformPoint(centre), centre)), abs=0.5)


def test_registration_is_the_same_bit_for_bit(flair: sitk.Image, t1: sitk.Image) -> None:
    other, _ = moved(t1, (2.0, 1.0, -3.0), (3.0, 1.0, 2.0))
    first, second = (register_rigidly(flair, other, never).transform.GetParameters() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("asked", [0, 1, 25], ids=["at once", "in the first iteration", "later"])
def test_cancel_stops_the_registration(flair: sitk.Image, t1: sitk.Image, asked: int) -> None:
    other, _ = moved(t1, (2.0, 1.0, -3.0), (3.0, 1.0, 2.0))
    calls = itertools.count()
    with pytest.raises(Cancelled, match="Nothing was written"):
        register_rigidly(flair, other, lambda: next(calls) >= asked)
    assert next(calls) <= asked + 3


def test_image_without_structure_is_refused(flair: sitk.Image) -> None:
    with pytest.raises(InputError, match=r"too little in common.*Switch registration off"):
        register_rigidly(flair, flair * 0 + 1.0, never)
