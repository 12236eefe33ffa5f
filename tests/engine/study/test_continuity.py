"""Slices that are no scan's are told, and a scan's are not, in whichever plane it was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.sample.study import SamplePaths
from BrainTumorSegLib.engine.study.continuity import continuity_warnings
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

Array = npt.NDArray[np.float32]
THICK = (0.9, 0.9, 5.5)
NOISE, BLANK, COPY, ORDER = "looks like noise", "has blank slices", "more than once", "do not follow one another"
SCALE = "brightness changes from slice to slice"


@pytest.fixture(scope="module")
def volume(sample_study: SamplePaths) -> Array:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(sample_study.flair), sitk.sitkFloat32))


def kinds(warnings: tuple[str, ...]) -> list[str]:
    return [kind for warning in warnings for kind in (NOISE, BLANK, COPY, ORDER, SCALE) if kind in warning]


def with_slices(volume: Array, changed: dict[int, Array]) -> Array:
    result = volume.copy()
    for index, plane in changed.items():
        result[index] = plane
    return result


def random(volume: Array) -> Array:
    return np.random.default_rng(0).uniform(0, 900, volume.shape).astype(np.float32)


def misread(volume: Array) -> Array:
    return volume.astype(np.int16).byteswap().astype(np.float32)


def shuffled(volume: Array) -> Array:
    return volume[np.random.default_rng(1).permutation(len(volume))]


def packages(volume: Array) -> Array:
    return np.concatenate([volume[::2], volume[1::2]])


def to_and_fro(volume: Array) -> Array:
    """Every third slice upwards, the next downwards, the last upwards: each lies well between its neighbours."""
    return np.concatenate([volume[::3], volume[1::3][::-1], volume[2::3]])


def by_name(volume: Array) -> Array:
    return volume[sorted(range(len(volume)), key=lambda index: str(index + 1))]


WRONG: dict[str, tuple[Callable[[Array], Array], list[str]]] = {
    "noise": (random, [NOISE]),
    "bytes misread": (misread, [NOISE]),
    "shuffled": (shuffled, [ORDER]),
    "packages one after the other": (packages, [ORDER]),
    "every third, to and fro": (to_and_fro, [ORDER]),
    "ordered as text": (by_name, [ORDER]),
    "two swapped": (lambda v: with_slices(v, {3: v[20], 20: v[3]}), [ORDER]),
    "one of noise": (lambda v: with_slices(v, {12: random(v)[0]}), [ORDER]),
    "two blank": (lambda v: with_slices(v, {9: v[9] * 0, 10: v[10] * 0 + 7}), [BLANK]),
    "every second scaled": (lambda v: v * np.resize([1, 2], len(v))[:, None, None].astype(np.float32), [SCALE]),
    "one nearly dark": (lambda v: with_slices(v, {12: v[12] / 6}), [SCALE]),
    "one copied": (lambda v: with_slices(v, {14: v[13]}), [COPY]),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_is_no_scan_is_told_along_whichever_axis_the_slices_lie(name: str, axis: int, volume: Array) -> None:
    change, expected = WRONG[name]
    spacing_kji = np.roll([5.5, 0.9, 0.9], axis)
    array = np.moveaxis(change(volume), 0, axis)
    assert kinds(continuity_warnings("FLAIR", array, spacing_kji[::-1])) == expected


def test_thick_slices_that_were_cut_up_are_called_copies_and_no_wrong_order(volume: Array) -> None:
    assert kinds(continuity_warnings("FLAIR", np.repeat(volume, 5, axis=0), (0.9, 0.9, 1.1))) == [COPY]


def test_thick_slices_that_were_cut_up_with_some_noise_are_in_order(volume: Array) -> None:
    repeated = np.repeat(volume, 5, axis=0)
    noise = np.random.default_rng(2).normal(0, 3, repeated.shape).astype(np.float32)
    assert kinds(continuity_warnings("FLAIR", repeated + noise, (0.9, 0.9, 1.1))) == []


def test_slices_are_named_in_the_files_order(volume: Array) -> None:
    blank = with_slices(volume, {index: volume[index] * 0 for index in (5, 6, 7, 9, 10, 11)})
    (warning,) = continuity_warnings("T1", blank, THICK)
    assert warning.startswith("T1 has blank slices among those that show something: 6, 7, 8, 10 and 2 more in the")


def axial(volume: Array) -> Array:
    return volume


def thick_along(axis: int) -> Callable[[Array], Array]:
    """The head as a sagittal or coronal stack with 5.4 mm between slices."""

    def reformat(volume: Array) -> Array:
        slices = np.moveaxis(np.repeat(volume, 6, axis=0), axis, 0)
        return slices[: len(slices) // 6 * 6].reshape(-1, 6, *slices.shape[1:]).mean(axis=1)

    return reformat


RIGHT: dict[str, Callable[[Array], Array]] = {
    "axial": axial,
    "from above": lambda v: v[::-1],
    "coronal": thick_along(1),
    "sagittal": thick_along(2),
    "blank ends": lambda v: np.concatenate([v[:3] * 0, v, v[:3] * 0]),
    "ends repeated": lambda v: np.concatenate([v[:1], v[:1], v, v[-1:], v[-1:]]),
    "ends repeated, and blank beyond": lambda v: np.concatenate([v[:1] * 0, v[:1], v, v[-1:], v[-1:], v[:3] * 0]),
    "few slices": lambda v: v[::6],
    "offset": lambda v: v * 3 - 5000,
    "mirrored": lambda v: v[..., ::-1],
    "brighter upwards": lambda v: v * np.linspace(0.5, 2, len(v), dtype=np.float32)[:, None, None],
    "packages of unlike brightness": lambda v: v * np.resize([1, 0.9], len(v))[:, None, None].astype(np.float32),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_scan_is_let_pass_without_a_word(name: str, volume: Array) -> None:
    assert continuity_warnings("FLAIR", np.ascontiguousarray(RIGHT[name](volume)), THICK) == ()


def test_a_study_whose_slices_are_out_of_order_is_read_with_a_warning(
    sample_study: SamplePaths, volume: Array, tmp_path: Path
) -> None:
    image = sitk.GetImageFromArray(shuffled(volume))
    image.CopyInformation(sitk.ReadImage(str(sample_study.flair)))
    sitk.WriteImage(image, str(tmp_path / "flair.nii.gz"))
    study = read_study(StudyPaths(tmp_path / "flair.nii.gz"))
    assert kinds(study.warnings) == [ORDER]
    assert kinds(read_study(StudyPaths(sample_study.flair, sample_study.t1, sample_study.t1c)).warnings) == []
