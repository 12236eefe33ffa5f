from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.labelmap import read_labelmap, read_labels, says_edited
from result_phantoms import GRIDS, ellipsoid

GRID = GRIDS["oblique"]
BALL = ellipsoid(GRID, (4.0, -8.0, 25.0), (7.0, 9.0, 9.0))
OTHER = ellipsoid(GRID, (8.0, -4.0, 24.0), (5.0, 5.0, 5.0))


@pytest.mark.parametrize("name", ["t.seg.nrrd", "t.nii.gz", "t.mha"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32], ids=lambda kind: kind.__name__)
def test_every_label_counts_on_the_files_grid(tmp_path: Path, name: str, kind: type) -> None:
    labels = (BALL * 1 + (OTHER & ~BALL) * 3).astype(kind)
    sitk.WriteImage(Volume(labels, GRID).to_image(), str(tmp_path / name))
    found = read_labelmap(tmp_path / name)
    assert found.geometry.is_close_to(GRID, 1e-3)
    np.testing.assert_array_equal(found.array, BALL | OTHER)
    np.testing.assert_array_equal(read_labels(tmp_path / name).array, labels)


def test_overlapping_segments_are_joined(tmp_path: Path) -> None:
    """Slicer writes segments that overlap as layers of one image."""
    layers = [Volume(part, GRID).to_image() for part in (BALL, OTHER)]
    sitk.WriteImage(sitk.Compose(layers), str(tmp_path / "t.seg.nrrd"))
    np.testing.assert_array_equal(read_labelmap(tmp_path / "t.seg.nrrd").array, BALL | OTHER)
    with pytest.raises(InputError, match="segments that overlap.*one labelmap"):
        read_labels(tmp_path / "t.seg.nrrd")


def test_probability_is_no_labelmap(tmp_path: Path) -> None:
    sitk.WriteImage(Volume(BALL.astype(np.float32) * 0.7, GRID).to_image(), str(tmp_path / "p.nrrd"))
    with pytest.raises(InputError, match="no labelmap: it has 3 dimensions or fractions.*Give the segmentation"):
        read_labelmap(tmp_path / "p.nrrd")


def test_image_of_whole_numbers_is_no_labelmap(tmp_path: Path) -> None:
    grey = np.random.default_rng(3).integers(1, 900, GRID.shape_kji, np.int16)
    sitk.WriteImage(Volume(grey, GRID).to_image(), str(tmp_path / "flair.nii.gz"))
    with pytest.raises(InputError, match="no labelmap: it has the grey values of an image. Give the segmentation"):
        read_labelmap(tmp_path / "flair.nii.gz")


def test_parcellation_of_many_regions_is_a_labelmap(tmp_path: Path) -> None:
    k, j, i = np.indices(GRID.shape_kji)
    regions = (1 + k // 2 + 40 * (j // 3) + 1000 * (i // 3)).astype(np.int16)
    assert len(np.unique(regions)) > 500
    sitk.WriteImage(Volume(regions, GRID).to_image(), str(tmp_path / "atlas.nii.gz"))
    np.testing.assert_array_equal(read_labels(tmp_path / "atlas.nii.gz").array, regions)


def test_folder_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The labelmap .* is a folder\. Give the file in it"):
        read_labelmap(tmp_path)


@pytest.mark.parametrize("content", [None, b"no image"], ids=["missing", "damaged"])
def test_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.nrrd"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.nrrd (does not exist|can't be read)\. (Check|Save it again)"):
        read_labelmap(path)


@pytest.mark.parametrize(("kind", "edited"), [("AUTOMATIC", False), ("SEMIAUTOMATIC", True)])
def test_a_segmentation_file_says_whether_it_was_edited(tmp_path: Path, kind: str, edited: bool) -> None:
    image = Volume(BALL, GRID).to_image()
    image.SetMetaData("Segment0_Tags", f"TerminologyEntry:x|DICOM.SegmentAlgorithmType:{kind}|")
    sitk.WriteImage(image, str(tmp_path / "t.seg.nrrd"))
    assert says_edited(tmp_path / "t.seg.nrrd") is edited
