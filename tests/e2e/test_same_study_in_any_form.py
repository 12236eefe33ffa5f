"""One study stored sagittally, coronally, flipped or as DICOM: its tumour must stay where it is in the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.output.writing import OutputPaths
from BrainTumorSegLib.engine.sample.study import write_sample
from BrainTumorSegLib.engine.service.run import SegmenterCache, SegmentJob, run_job
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths
from command import REPOSITORY
from dicom_series import write_series

NATIVE = REPOSITORY.parent / "shared" / "native"
FORMS = {"sagittal": "PIR", "coronal": "RIP", "flipped": "RAI", "flipped sagittal": "ASL", "DICOM series": "LPS"}


@pytest.fixture(scope="module")
def segmenters(tmp_path_factory: pytest.TempPathFactory) -> SegmenterCache:
    environment = {"BRAINTUMORSEG_HOME": str(tmp_path_factory.mktemp("home"))}
    return SegmenterCache(lambda: ModelStore.default(environment))


def segment(segmenters: SegmenterCache, inputs: StudyPaths, folder: Path) -> tuple[sitk.Image, Result]:
    outputs = OutputPaths(folder / "tumour.seg.nrrd", None, None, None)
    job = SegmentJob(inputs, outputs, RunSettings(device="cpu"))
    result = run_job(job, segmenters, lambda _stage, _fraction: None, lambda: False)
    return sitk.ReadImage(str(outputs.segmentation)), result


def overlap(one: sitk.Image, other: sitk.Image) -> float:
    """Dice in the world: the other mask is brought to the first one's grid by its header alone."""
    moved = sitk.Resample(other, one, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkNearestNeighbor)
    a, b = sitk.GetArrayFromImage(one) > 0, sitk.GetArrayFromImage(moved) > 0
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.fixture(scope="module", params=["sample", "TCGA-FG-6692"])
def original(
    request: pytest.FixtureRequest, segmenters: SegmenterCache, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, sitk.Image]:
    """A study's FLAIR and the mask found in it as it is."""
    folder = tmp_path_factory.mktemp("original")
    if request.param == "sample":
        flair = write_sample(folder).flair
    else:
        flair = NATIVE / "TCGA_FG_6692_flair.nii.gz"
        if not flair.is_file():
            pytest.skip("../shared/native is absent: the real study exists in development and CI only")
    mask, result = segment(segmenters, StudyPaths(flair), folder)
    assert result.mask.any(), "no tumour was found, so nothing can be compared"
    return flair, mask


@pytest.mark.parametrize("form", FORMS)
def test_the_tumour_lies_at_the_same_place(
    original: tuple[Path, sitk.Image], segmenters: SegmenterCache, tmp_path: Path, form: str
) -> None:
    flair, mask = original
    image = sitk.DICOMOrient(sitk.ReadImage(str(flair)), FORMS[form])
    if form == "DICOM series":
        path = tmp_path / "series"
        write_series(path, sitk.Cast(image, sitk.sitkInt16), SeriesDescription="AX FLAIR")
    else:
        path = tmp_path / "flair.nrrd"
        sitk.WriteImage(image, str(path))
    other, _ = segment(segmenters, StudyPaths(path), tmp_path)
    assert overlap(mask, other) >= 0.99


def test_the_outputs_grid_is_flairs(original: tuple[Path, sitk.Image]) -> None:
    flair, mask = original
    assert Geometry.of_image(mask).is_close_to(Geometry.of_image(sitk.ReadImage(str(flair))), tolerance=1e-6)


def test_native_sequences_on_their_own_grids_are_read_and_registered(
    segmenters: SegmenterCache, tmp_path: Path
) -> None:
    if not NATIVE.is_dir():
        pytest.skip("../shared/native is absent: the real study exists in development and CI only")
    paths = StudyPaths(*(NATIVE / f"TCGA_FG_6692_{name}.nii.gz" for name in ("flair", "t1", "t1c")))
    job = SegmentJob(paths, OutputPaths(tmp_path / "a.seg.nrrd"), RunSettings(device="cpu", register="on"))
    result = run_job(job, segmenters, lambda _stage, _fraction: None, lambda: False)
    alone = segment(segmenters, StudyPaths(paths.flair), tmp_path)[1]
    assert result.geometry.is_close_to(Geometry.of_image(sitk.ReadImage(str(paths.flair))))
    both = np.logical_and(result.mask, alone.mask).sum()
    assert 2 * both / (result.mask.sum() + alone.mask.sum()) > 0.6
