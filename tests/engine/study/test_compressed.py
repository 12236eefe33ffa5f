"""Damaged compressed data are refused, by the checksum that they carry."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

KINDS = [".mha", ".mhd", ".nrrd", ".nhdr", ".nii.gz"]


def written(folder: Path, ending: str, compressed: bool = True) -> tuple[Path, Path]:
    """The image and the file that holds its data: noise, so that the data are large beside the header."""
    array = np.random.default_rng(0).integers(0, 900, (12, 64, 64)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 3.0))
    path = folder / f"flair{ending}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    data = next((each for each in folder.iterdir() if each != path), path)
    return path, data


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "raw"])
def test_whole_data_are_read(tmp_path: Path, ending: str, compressed: bool) -> None:
    path, _ = written(tmp_path, ending, compressed)
    assert read_study(StudyPaths(path)).flair.shape == (12, 64, 64)


@pytest.mark.parametrize("ending", KINDS)
def test_one_changed_byte_is_refused(tmp_path: Path, ending: str) -> None:
    path, data = written(tmp_path, ending)
    whole = data.read_bytes()
    for seed in range(40):
        damaged = bytearray(whole)
        damaged[random.Random(seed).randrange(len(whole) // 4, len(whole) - 12)] ^= 0x5A
        data.write_bytes(damaged)
        with pytest.raises(InputError, match="can't be read: .*Copy or export it again"):
            read_study(StudyPaths(path))


@pytest.mark.parametrize("ending", KINDS)
def test_data_that_end_early_are_refused(tmp_path: Path, ending: str) -> None:
    path, data = written(tmp_path, ending)
    data.write_bytes(data.read_bytes()[:-2000])
    with pytest.raises(InputError, match="can't be read"):
        read_study(StudyPaths(path))


def test_data_in_a_file_that_is_missing_are_refused(tmp_path: Path) -> None:
    path, data = written(tmp_path, ".mhd")
    data.unlink()
    with pytest.raises(InputError, match="no single file beside it.*Copy the data file too"):
        read_study(StudyPaths(path))
