import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from brain_tumor_training.data.cache import build_cache, cached_names, load_cache
from brain_tumor_training.data.folds import refuse_mixed_folds
from brain_tumor_training.data.kaggle import read_patient
from brain_tumor_training.data.sources import training_sources
from brain_tumor_training.data.splits import make_split, pool_of
from brain_tumor_training.fitting.distributed import BatchShare, Processes
from brain_tumor_training.recipes.settings import SamplingSettings, SplitSettings, ValidationSettings
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.normalisation import normalise_sequence
from kaggle_phantom import write_data_set, write_patient
from training_phantom import patients, tiny_settings


def test_the_cache_holds_what_the_engine_would_show_the_network(tmp_path: Path) -> None:
    (name,) = write_data_set(tmp_path, patients=1, slices=3, size_px=256)
    build_cache(training_sources(tmp_path), tmp_path / "cache", workers=1)
    patient = read_patient(tmp_path / "kaggle_3m" / name)
    (cached,) = load_cache(tmp_path / "cache", cached_names(tmp_path / "cache"), 256)
    np.testing.assert_allclose(cached.variants[0, 1], normalise_sequence(patient.sequences[1]), atol=2e-3)
    np.testing.assert_array_equal(cached.mask, patient.mask)
    (half,) = load_cache(tmp_path / "cache", [name], 128)
    assert half.mask.shape == (3, 128, 128)


def test_kaggles_second_copy_in_the_archive_is_not_read(tmp_path: Path) -> None:
    names = write_data_set(tmp_path, patients=2, slices=2)
    shutil.copytree(tmp_path / "kaggle_3m", tmp_path / "lgg-mri-segmentation" / "kaggle_3m")
    assert [source.name for source in training_sources(tmp_path)] == names


def test_a_patient_copied_under_another_name_is_refused(tmp_path: Path) -> None:
    folder = write_patient(tmp_path, "TCGA_CS_0001_20000101", slices=2)
    copy = tmp_path / "TCGA_CS_0009_20000101"
    copy.mkdir()
    for path in folder.iterdir():
        shutil.copy(path, copy / path.name.replace("0001", "0009"))
    with pytest.raises(InputError, match=r"TCGA_CS_0001_20000101 and TCGA_CS_0009_20000101 hold the same images.*copy"):
        training_sources(tmp_path)


def test_two_examinations_of_a_person_in_different_folds_are_refused() -> None:
    refuse_mixed_folds({"TCGA_CS_1_20000101": 0, "TCGA_CS_1_20010101": 0, "TCGA_CS_2_20000101": 1})
    with pytest.raises(
        InputError, match=r"TCGA_CS_1_20000101 \(fold 0\) and TCGA_CS_1_20010101 \(fold 1\) are the same"
    ):
        refuse_mixed_folds({"TCGA_CS_1_20000101": 0, "TCGA_CS_1_20010101": 1})


def _own_study(folder: Path, code: str) -> Path:
    """A head with a ball on a 0.9 x 0.9 x 5 mm grid, stored in some orientation; returns the CSV that lists it."""
    z, y, x = np.mgrid[:8, -50:50, -45:45]
    flair = np.where(x**2 + y**2 < 40**2, 100.0, 0.0).astype(np.float32)
    ball = (3 * (z - 4)) ** 2 + (y + 10) ** 2 + (x - 15) ** 2 < 81
    flair[ball] = 180
    folder.mkdir(exist_ok=True)
    for name, array in (("flair", flair), ("mask", ball.astype(np.uint8))):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.9, 0.9, 5.0))
        sitk.WriteImage(sitk.DICOMOrient(image, code), str(folder / f"{name}.nii.gz"))
    table = folder / "patients.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["patient", "flair", "t1", "t1c", "mask"], ["a", "flair.nii.gz", "", "", "mask.nii.gz"]]
        )
    return table


@pytest.mark.parametrize("code", ["LPS", "PIR"])
def test_own_studies_are_brought_to_the_network_with_their_masks(tmp_path: Path, code: str) -> None:
    (source,) = training_sources(_own_study(tmp_path, code))
    patient = source.read()
    assert patient.sequences.shape == (3, 8, 256, 256)
    np.testing.assert_array_equal(patient.sequences[0], patient.sequences[1])  # missing T1 is FLAIR
    bright = patient.sequences[1] > 0.5
    np.testing.assert_array_equal(patient.mask, bright)
    assert patient.mask.sum() > 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("patient,flair,mask\n", "has no column t1, t1c"),
        ("patient,flair,t1,t1c,mask\n", "lists no patient"),
        ("patient,flair,t1,t1c,mask\na,,,,m.nii\n", "patient 'a' lacks FLAIR"),
        ("patient,flair,t1,t1c,mask\na,none.nii,,,m.nii\n", "can't be read"),
    ],
    ids=["columns", "empty", "no FLAIR", "no file"],
)
def test_wrong_tables_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        training_sources(tmp_path / "p.csv")


def test_patients_have_no_equal_chances_in_epochs_of_slices() -> None:
    with pytest.raises(InputError, match=r"every slice is shown once an epoch.*sampling\.equal"):
        SamplingSettings(tumour_share=None, equal="patients")


def test_processes_share_each_batch_without_overlap() -> None:
    shares = [list(BatchShare(3, 4, 1, Processes(rank, 2))) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [[4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(InputError, match=r"batch of 5 can't be shared by 2"):
        BatchShare(3, 5, 0, Processes(0, 2))


def test_honest_validation_holds_whole_patients() -> None:
    split = make_split(patients(10), tiny_settings(validation=ValidationSettings(share=0.2)))
    assert len(split.validation) == 2
    assert not set(split.validation) & set(split.training)
    assert split.test == {}


def test_the_leaky_protocol_mixes_patients_and_says_so() -> None:
    everyone = patients(10)
    settings = tiny_settings(
        validation=ValidationSettings(share=0.1), split=SplitSettings("random_slices_leaky", test_share=0.2)
    )
    split = make_split(everyone, settings)
    assert split.protocol == "random_slices_leaky"
    assert set(split.test) & set(split.training)
    parts = [pool_of(everyone, side).slices for side in (split.training, split.validation, split.test)]
    assert [len(part) for part in parts] == [35, 5, 10]
    assert len({one for part in parts for one in part}) == 50
    assert split == make_split(everyone, settings)
