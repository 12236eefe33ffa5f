"""A sequence that is stored the wrong way round is told, and one that only lies badly is not."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.sample.study import SamplePaths
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study, study_from_images
from BrainTumorSegLib.engine.study.study import Study
from BrainTumorSegLib.engine.study.turned import turned_warnings

Array = npt.NDArray[np.float32]
WAYS = ("upside down", "back to front", "left and right changed")
TURNS = [turn for turn in itertools.product((1, -1), repeat=3) if turn[:2] != (1, 1)]


@pytest.fixture(scope="module")
def study(sample_study: SamplePaths) -> Study:
    return read_study(StudyPaths(sample_study.flair, sample_study.t1, sample_study.t1c))


def image_of(array: Array, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_lps)
    image.SetDirection(geometry.direction_lps)
    return image


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("sequence", ["t1", "t1c"])
def test_a_sequence_whose_voxels_run_the_other_way_is_told_with_the_way(
    study: Study, sequence: str, turn: tuple[int, ...]
) -> None:
    array = getattr(study, sequence)[tuple(slice(None, None, step) for step in turn)]
    (warning,) = turned_warnings("T1", study.flair, array, study.geometry)
    how = ", ".join(way for way, step in zip(WAYS, turn, strict=True) if step < 0)
    assert warning.startswith(f"T1 fits FLAIR better turned round ({how}) than it lies by its header.")


def test_changed_sides_are_told_where_the_halves_of_the_head_differ(study: Study) -> None:
    assert study.t1c is not None
    flair, t1c = study.flair.copy(), study.t1c.copy()
    half = flair.shape[2] // 2
    flair[:, 60:200, half + 20 : half + 70], t1c[:, 60:200, half + 20 : half + 70] = 0, 900
    assert turned_warnings("T1", flair, t1c, study.geometry) == ()
    (warning,) = turned_warnings("T1", flair, t1c[..., ::-1], study.geometry)
    assert "(left and right changed)" in warning


@pytest.mark.parametrize("moved", [(0, 0, 0), (0, 0, 28), (0, 28, 0), (2, 0, 0), (-2, 10, -10)], ids=str)
@pytest.mark.parametrize("sequence", ["flair", "t1", "t1c"])
def test_a_sequence_that_only_lies_badly_is_not(study: Study, sequence: str, moved: tuple[int, int, int]) -> None:
    array = np.roll(getattr(study, sequence), moved, (0, 1, 2))
    assert turned_warnings("T1", study.flair, array, study.geometry) == ()


@pytest.mark.parametrize("axes", itertools.permutations(range(3)), ids=str)
def test_the_order_of_the_axes_in_memory_means_nothing(study: Study, axes: tuple[int, int, int]) -> None:
    flair, t1 = (sitk.PermuteAxes(image_of(array, study.geometry), axes) for array in (study.flair, study.t1))
    assert not _said(study_from_images(flair, t1))
    upside_down = sitk.PermuteAxes(image_of(study.t1[::-1], study.geometry), axes)
    (warning,) = _said(study_from_images(flair, upside_down))
    assert "(upside down)" in warning


@pytest.mark.filterwarnings("error")
def test_noise_and_emptiness_say_nothing(study: Study) -> None:
    noise = np.random.default_rng(0).uniform(0, 900, study.flair.shape).astype(np.float32)
    nearly_empty = np.zeros_like(noise)
    nearly_empty[0, 0, 0] = 1
    for array in (noise, nearly_empty):
        assert turned_warnings("T1", study.flair, array, study.geometry) == ()


def test_native_sequences_that_registration_brought_over_lie_right() -> None:
    folder = Path(__file__).parents[4] / "shared" / "native"
    if not folder.is_dir():
        pytest.skip("needs the native study of ../shared")
    paths = [folder / f"TCGA_FG_6692_{name}.nii.gz" for name in ("flair", "t1", "t1c")]
    assert not _said(read_study(StudyPaths(*paths)))


def _said(study: Study) -> list[str]:
    return [warning for warning in study.warnings if "turned round" in warning]
