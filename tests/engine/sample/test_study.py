from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import OutputError
from BrainTumorSegLib.engine.sample.study import SamplePaths, write_sample
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_sample_is_the_same_bytes_every_time(sample_study: SamplePaths, tmp_path: Path) -> None:
    again = write_sample(tmp_path / "again")
    for name in ("flair", "t1", "t1c", "reference"):
        assert getattr(again, name).read_bytes() == getattr(sample_study, name).read_bytes()


def test_sample_reads_without_a_warning(sample_study: SamplePaths) -> None:
    study = read_study(StudyPaths(sample_study.flair, sample_study.t1, sample_study.t1c))
    assert study.warnings == ()
    assert study.t1 is not None
    assert study.t1c is not None


def test_sequences_lie_on_different_oblique_grids(sample_study: SamplePaths) -> None:
    images = [sitk.ReadImage(str(path)) for path in (sample_study.flair, sample_study.t1, sample_study.t1c)]
    for one, other in itertools.combinations(images, 2):
        assert not np.allclose(one.GetDirection(), other.GetDirection(), atol=0.01)
    for image in images:
        assert np.abs(np.reshape(image.GetDirection(), (3, 3))).max(axis=0).min() < 0.9999


def test_reference_lies_on_the_grid_of_flair_and_marks_one_sizeable_tumour(sample_study: SamplePaths) -> None:
    flair, reference = (sitk.ReadImage(str(path)) for path in (sample_study.flair, sample_study.reference))
    geometry = Geometry.of_image(reference)
    assert geometry.is_close_to(Geometry.of_image(flair))
    mask = sitk.GetArrayFromImage(reference)
    assert set(np.unique(mask)) == {0, 1}
    assert 30 < mask.sum() * geometry.voxel_volume_ml < 100
    pieces = sitk.GetArrayFromImage(sitk.RelabelComponent(sitk.ConnectedComponent(reference, True)))
    assert (pieces == 1).sum() > 0.95 * mask.sum()


def test_tumour_is_bright_in_flair_dark_in_t1_and_enhances(sample_study: SamplePaths) -> None:
    study = read_study(StudyPaths(sample_study.flair, sample_study.t1, sample_study.t1c))
    assert study.t1 is not None
    assert study.t1c is not None
    tumour = voxels(sample_study.reference) == 1
    mirrored = tumour[:, :, ::-1] & ~tumour  # about the other hemisphere: the head lies nearly straight
    assert np.median(study.flair[tumour]) > 1.4 * np.median(study.flair[mirrored])
    assert np.median(study.t1[tumour]) < 0.9 * np.median(study.t1[mirrored])
    enhancement = study.t1c / np.median(study.t1c[mirrored]) - study.t1 / np.median(study.t1[mirrored])
    assert np.percentile(enhancement[tumour], 98) > 0.4


def test_background_is_dark_and_noisy_like_a_magnitude_image(sample_study: SamplePaths) -> None:
    """Rayleigh: the mean of the magnitude of pure noise is 1.91 of its standard deviation."""
    corner = voxels(sample_study.flair)[:, :20, :20].astype(float)
    assert corner.min() >= 0
    assert corner.mean() / corner.std() == pytest.approx(1.91, abs=0.25)


def test_folder_that_forbids_writing_is_named(forbidden_folder: Path) -> None:
    with pytest.raises(OutputError, match=r"no permission.*Choose a folder"):
        write_sample(forbidden_folder / "sample")
