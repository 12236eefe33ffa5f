from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from brain_tumor_training.evaluation.changes import CHANGES
from brain_tumor_training.evaluation.studies import EvaluationStudy, KaggleSource
from brain_tumor_training.main import main
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.reading import read_study
from kaggle_phantom import write_patient


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patient(tmp_path_factory.mktemp("data"), "TCGA_CS_0001_20000101")


def _tissue_over_noise(study: EvaluationStudy) -> np.ndarray:
    """FLAIR of the file, axial, in units of its own head."""
    image = sitk.ReadImage(str(study.paths.flair))
    array = AxialOrder.of(study.geometry).to_axial(sitk.GetArrayFromImage(image)).astype(np.float64)
    return array / np.median(array[array > 0.3 * array.max()])


@pytest.mark.parametrize("change", CHANGES)
def test_the_reference_stays_on_the_tumour(folder: Path, change: str) -> None:
    with KaggleSource(folder, change).open() as study:
        flair = _tissue_over_noise(study)
        assert flair.shape == study.reference.shape
        head = flair > 0.5
        assert flair[study.reference].mean() > 1.4
        assert flair[head & ~study.reference].mean() < 1.1
        volume_ml = study.reference.sum() * study.geometry.voxel_volume_ml
    with KaggleSource(folder).open() as original:
        assert volume_ml == pytest.approx(original.reference.sum() * original.geometry.voxel_volume_ml, rel=0.1)


@pytest.mark.parametrize(
    ("change", "left"),
    [("without-t1", (False, True)), ("without-t1c", (True, False)), ("flair-only", (False, False))],
)
def test_left_out_sequences_are_not_written(folder: Path, change: str, left: tuple[bool, bool]) -> None:
    with KaggleSource(folder, change).open() as study:
        assert (study.paths.t1 is not None, study.paths.t1c is not None) == left


@pytest.mark.parametrize("change", ["brightness-0.3", "brightness-3", "sagittal"])
def test_gain_and_storage_order_do_not_reach_the_network(folder: Path, change: str) -> None:
    seen = []
    for one in (None, change):
        with KaggleSource(folder, one).open() as study:
            seen.append(prepare(read_study(study.paths)).sequences.copy())
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-4)


@pytest.mark.parametrize(("change", "gamma"), [("contrast-0.7", 0.7), ("contrast-1.4", 1.4)])
def test_another_contrast_keeps_range_and_order(folder: Path, change: str, gamma: float) -> None:
    values = []
    for one in (None, change):
        with KaggleSource(folder, one).open() as study:
            values.append(sitk.GetArrayFromImage(sitk.ReadImage(str(study.paths.flair))).astype(np.float64).ravel())
    before, after = values
    assert (after.min(), after.max()) == (before.min(), before.max())
    parts = (before - before.min()) / np.ptp(before)
    np.testing.assert_allclose((after - before.min()) / np.ptp(before), parts**gamma, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "spacing_mm"),
    [("in-plane-0.7mm", (0.7, 0.7, 5.5)), ("slices-6mm", (0.9, 0.9, 6)), ("isotropic-1mm", (1, 1, 1))],
)
def test_another_sampling_is_that_of_the_name(
    folder: Path, change: str, spacing_mm: tuple[float, float, float]
) -> None:
    with KaggleSource(folder, change).open() as study:
        assert study.geometry.spacing_mm == pytest.approx(spacing_mm)


def test_masking_leaves_the_tumour_and_takes_the_rim(folder: Path) -> None:
    with KaggleSource(folder).open() as study:
        before = sitk.GetArrayFromImage(sitk.ReadImage(str(study.paths.flair)))
    with KaggleSource(folder, "brain-masked").open() as study:
        after = sitk.GetArrayFromImage(sitk.ReadImage(str(study.paths.flair)))
        np.testing.assert_array_equal(after[study.reference], before[study.reference])
    assert set(np.unique(after[after != before])) <= {0}


def test_an_unknown_change_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path), "--change", "louder"]) == 2
    assert "choose one of without-t1" in capsys.readouterr().err
