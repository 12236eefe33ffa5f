from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless, generate_uid

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from dicom_series import PATIENT, write_enhanced, write_series
from head_phantom import head


def small(inverted: bool = False) -> sitk.Image:
    return head((32, 36, 6), (5.5, 5.5, 7.5), inverted=inverted)


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def test_series_gives_voxels_and_grid_as_written(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "flair", head(), SeriesDescription="AX FLAIR")
    study = read_study(StudyPaths(tmp_path / "flair"))
    np.testing.assert_array_equal(study.flair, array(head()))
    assert study.geometry.is_close_to(Geometry.of_image(head()), 1e-4)
    assert study.sources["flair"].series_uid == pydicom.dcmread(paths[0]).SeriesInstanceUID
    assert study.warnings == ()


def test_one_file_stands_for_its_whole_series(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    write_series(tmp_path, small(inverted=True), SeriesDescription="T1")
    np.testing.assert_array_equal(read_study(StudyPaths(paths[3])).flair, array(small()))


def test_file_without_a_suffix_is_recognised_as_dicom(tmp_path: Path) -> None:
    for number, path in enumerate(write_series(tmp_path, small(), SeriesDescription="FLAIR")):
        path.rename(tmp_path / f"IM{number:04d}")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path / "IM0002")).flair, array(small()))


def test_each_role_finds_its_series_in_one_folder(tmp_path: Path) -> None:
    bright, other = small(), small(inverted=True)
    write_series(tmp_path, bright, SeriesDescription="Ax T2 FLAIR")
    write_series(tmp_path, other, SeriesDescription="Ax T1")
    write_series(tmp_path, other + 100, SeriesDescription="Ax T1", ContrastBolusAgent="GADAVIST")
    write_series(tmp_path, other + 200, SeriesDescription="Ax T2 FSE")
    write_series(
        tmp_path, bright[:, :, :3], SeriesDescription="3-plane loc", ImageType=["ORIGINAL", "PRIMARY", "OTHER"]
    )
    study = read_study(StudyPaths(tmp_path, tmp_path, tmp_path))
    np.testing.assert_array_equal(study.flair, array(bright))
    np.testing.assert_array_equal(study.t1, array(other))
    np.testing.assert_array_equal(study.t1c, array(other) + 100)
    assert len({source.series_uid for source in study.sources.values()}) == 3
    assert study.warnings == ()


def test_series_in_subfolders_are_found(tmp_path: Path) -> None:
    write_series(tmp_path / "DICOM" / "SE0", small(), SeriesDescription="FLAIR")
    write_series(tmp_path / "DICOM" / "SE1", small(inverted=True), SeriesDescription="T1 SE")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()))


def test_several_fitting_series_are_listed_without_patient_data(tmp_path: Path) -> None:
    write_series(tmp_path, small(), SeriesDescription="Ax FLAIR")
    write_series(tmp_path, head((32, 36, 5), (5.5, 5.5, 24.0)), SeriesDescription="Sag FLAIR 3D")
    write_series(tmp_path, small(), SeriesDescription="T1")
    with pytest.raises(
        InputError, match=r"FLAIR: 2 series fit among the 3 in .*Choose a folder with the one"
    ) as caught:
        read_study(StudyPaths(tmp_path))
    assert "Ax FLAIR (6 slices, MR)" in str(caught.value)
    assert "Sag FLAIR 3D (5 slices, MR)" in str(caught.value)
    assert not re.search(f"{re.escape(PATIENT)}|4711", str(caught.value))


def test_no_fitting_series_lists_all(tmp_path: Path) -> None:
    write_series(tmp_path, small(), SeriesDescription="T1")
    write_series(tmp_path, small(), SeriesDescription="T2")
    with pytest.raises(InputError, match=r"FLAIR: no series fits among the 2 in .*: T\d \(6 slices, MR\); T\d \(6 "):
        read_study(StudyPaths(tmp_path))


def test_computed_tomography_is_not_taken(tmp_path: Path) -> None:
    write_series(tmp_path, small(), SeriesDescription="Head", Modality="CT")
    with pytest.raises(InputError, match=r"no series fits among the 1 in .*Head \(6 slices, CT\)"):
        read_study(StudyPaths(tmp_path))


def test_contrast_against_the_header_is_a_warning(tmp_path: Path) -> None:
    write_series(tmp_path / "f", small(), SeriesDescription="FLAIR")
    write_series(tmp_path / "t", small(inverted=True), SeriesDescription="Ax T1 POST")
    study = read_study(StudyPaths(tmp_path / "f", t1=tmp_path / "t"))
    assert study.warnings == ("The series used as T1 looks like T1 with contrast by its header (Ax T1 POST).",)


@pytest.mark.parametrize(
    ("description", "word"),
    [("AX T2 FSE", "T2"), ("DWI b1000", "diffusion"), ("t1_mprage_sag", "T1"), ("T2 FLAIR", None)],
)
def test_another_sequence_by_its_header_is_refused(tmp_path: Path, description: str, word: str | None) -> None:
    write_series(tmp_path, small(), SeriesDescription=description)
    if word is None:
        assert read_study(StudyPaths(tmp_path)).warnings == ()
        with pytest.raises(InputError, match=r"T1: this DICOM series is FLAIR by its header \(T2 FLAIR\)"):
            read_study(StudyPaths(tmp_path, t1=tmp_path))
        return
    message = rf"FLAIR: this DICOM series is {word} by its header \({description}\)\. Choose the FLAIR.*as NIfTI"
    with pytest.raises(InputError, match=message):
        read_study(StudyPaths(tmp_path))


def test_sole_series_without_any_hint_is_taken(tmp_path: Path) -> None:
    write_series(tmp_path, small())
    assert read_study(StudyPaths(tmp_path)).warnings == ()


def test_several_echoes_are_refused_by_name(tmp_path: Path) -> None:
    write_series(tmp_path, small(), repeats=2, SeriesDescription="FLAIR")
    for path in tmp_path.iterdir():  # both echoes, as scanners write them
        dataset = pydicom.dcmread(path)
        dataset.EchoTime = "90" if "_0_" in path.name else "120"
        dataset.save_as(path)
    listed = r"echo time \(ms\) 90 \(6 slices, MR\); .*echo time \(ms\) 120 \(6 slices, MR\)\. Export the one"
    with pytest.raises(InputError, match=rf"FLAIR: 2 series fit among the 2 in .*{listed}"):
        read_study(StudyPaths(tmp_path))


def test_echoes_whose_images_lie_between_each_other_are_no_one_stack(tmp_path: Path) -> None:
    """Half a slice distance apart: by their positions alone they are an even stack of twice as many slices."""
    between = head((32, 36, 6), (5.5, 5.5, 7.5), centre_lps=_half_a_slice(small()))
    uid = generate_uid()
    write_series(tmp_path, small(), uid=uid, EchoTime="10", SeriesDescription="FLAIR")
    write_series(tmp_path, between, uid=uid, EchoTime="90", SeriesDescription="FLAIR")
    listed = r"echo time \(ms\) 10 \(6 slices, MR\); .*echo time \(ms\) 90 \(6 slices, MR\)\. Export the one"
    with pytest.raises(InputError, match=rf"FLAIR: 2 series fit among the 2 in .*{listed}"):
        read_study(StudyPaths(tmp_path))


def test_packages_of_one_echo_are_one_stack(tmp_path: Path) -> None:
    between = head((32, 36, 6), (5.5, 5.5, 7.5), centre_lps=_half_a_slice(small()))
    uid = generate_uid()
    write_series(tmp_path, small(), uid=uid, EchoTime="90", AcquisitionNumber="1")
    write_series(tmp_path, between, uid=uid, EchoTime="90.2", AcquisitionNumber="2")
    study = read_study(StudyPaths(tmp_path))
    assert study.geometry.spacing_mm[2] == pytest.approx(3.75)
    np.testing.assert_array_equal(study.flair[::2], array(small()))


def test_a_series_of_several_echo_times_that_nothing_parts_is_refused(tmp_path: Path) -> None:
    def edit(dataset: pydicom.Dataset, k: int) -> None:
        dataset.EchoTime = "90" if k in (2, 3) else "15"

    write_series(tmp_path, small(), edit=edit)
    with pytest.raises(InputError, match=r"FLAIR: the images of this DICOM series have echo times from 15 to 90 ms"):
        read_study(StudyPaths(tmp_path))


def _half_a_slice(image: sitk.Image) -> tuple[float, float, float]:
    """Where the grid's centre lies that is moved by half a slice distance from one about the origin."""
    x, y, z = np.reshape(image.GetDirection(), (3, 3))[:, 2] * image.GetSpacing()[2] / 2
    return (float(x), float(y), float(z))


def test_one_file_of_one_echo_chooses_it(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), repeats=2, SeriesDescription="FLAIR")
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.EchoTime = "90" if "_0_" in path.name else "120"
        dataset.save_as(path)
    np.testing.assert_array_equal(read_study(StudyPaths(paths[2])).flair, array(small()))
    np.testing.assert_array_equal(read_study(StudyPaths(paths[-1])).flair, array(small()) // 2)


def test_images_that_nothing_parts_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, small(), repeats=2, SeriesDescription="FLAIR", EchoTime="90")
    with pytest.raises(
        GeometryError, match=r"FLAIR: this DICOM series has 12 images for 6 places, .*series of its own"
    ):
        read_study(StudyPaths(tmp_path))


def test_copies_of_the_same_files_count_once(tmp_path: Path) -> None:
    for path in write_series(tmp_path / "a", small(), SeriesDescription="FLAIR"):
        (tmp_path / "b").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "b")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()))


def test_phase_images_of_the_series_are_left_out(tmp_path: Path) -> None:
    def kind(part: str) -> list[str]:
        return ["ORIGINAL", "PRIMARY", part, "ND"]

    write_series(tmp_path, small(), uid="1.2.3.7", SeriesDescription="FLAIR", ImageType=kind("M"))
    write_series(tmp_path, small() // 3, uid="1.2.3.7", SeriesDescription="FLAIR", ImageType=kind("P"))
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()))


@pytest.mark.parametrize("moved_mm", [0.0, 3.0, 120.0])
def test_flair_and_t1_under_one_uid_are_parted_by_their_headers(tmp_path: Path, moved_mm: float) -> None:
    t1 = small(inverted=True)
    t1.SetOrigin(np.add(t1.GetOrigin(), (0, 0, moved_mm)).tolist())
    write_series(tmp_path, small(), uid="1.2.3.8", SeriesDescription="AX FLAIR", SeriesNumber="1")
    write_series(tmp_path, t1, uid="1.2.3.8", SeriesDescription="AX T1", SeriesNumber="2")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()))


def test_two_patients_under_one_uid_are_never_one_volume(tmp_path: Path) -> None:
    write_series(tmp_path, small(), uid="1.2.3.8", SeriesDescription="AX FLAIR", PatientID="1")
    write_series(tmp_path, small() + 9, uid="1.2.3.8", SeriesDescription="AX FLAIR", PatientID="2")
    with pytest.raises(InputError, match=r"2 series fit among the 2"):
        read_study(StudyPaths(tmp_path))


def test_one_series_in_several_folders_is_one_volume(tmp_path: Path) -> None:
    for number, path in enumerate(write_series(tmp_path / "cd", small(), SeriesDescription="FLAIR")):
        folder = tmp_path / "cd" / f"DIR{number // 2}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / f"IM{number % 2}")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path / "cd")).flair, array(small()))


@pytest.mark.parametrize("given", ["folder", "file"])
@pytest.mark.parametrize("elsewhere", ["beside", "above"])
def test_a_part_of_a_series_is_refused_with_the_whole(tmp_path: Path, given: str, elsewhere: str) -> None:
    paths = write_series(tmp_path / "cd", small(), SeriesDescription="FLAIR")
    parts = (tmp_path / "cd" / "A", tmp_path / "cd" if elsewhere == "above" else tmp_path / "cd" / "B")
    for number, path in enumerate(paths):
        parts[number // 3].mkdir(exist_ok=True)
        path.rename(parts[number // 3] / f"IM{number}")
    message = r"FLAIR: 3 images of this DICOM series lie in .*A, but .* holds 3 more\. Give the folder .*cd\."
    with pytest.raises(InputError, match=message):
        read_study(StudyPaths(parts[0] if given == "folder" else parts[0] / "IM1"))


def test_a_copy_of_the_series_beside_it_is_no_part(tmp_path: Path) -> None:
    for path in write_series(tmp_path / "a", small(), SeriesDescription="FLAIR"):
        (tmp_path / "backup").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "backup")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path / "a")).flair, array(small()))


def test_missing_slice_is_refused_with_its_place(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    paths[2].unlink()
    message = (
        r"5 slices .*not evenly spaced: 15\.00 mm between slices 2 and 3, but 7\.50 mm elsewhere.*Export the whole"
    )
    with pytest.raises(GeometryError, match=message):
        read_study(StudyPaths(tmp_path))


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        ("ImagePositionPatient", "0020,0032"),
        ("ImageOrientationPatient", "0020,0037"),
        ("PixelSpacing", "0028,0030"),
    ],
)
def test_images_that_do_not_say_where_they_lie_are_refused(tmp_path: Path, keyword: str, name: str) -> None:
    write_series(tmp_path, small(), edit=lambda one, k: delattr(one, keyword), SeriesDescription="FLAIR")
    with pytest.raises(GeometryError, match=rf"6 of the 6 images .* have no {keyword} \({name}\), so where they lie"):
        read_study(StudyPaths(tmp_path))


def test_slices_of_several_orientations_are_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    turned = pydicom.dcmread(paths[4])
    turned.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
    turned.save_as(paths[4])
    with pytest.raises(GeometryError, match=r"differ in size, spacing or orientation.*parallel slices"):
        read_study(StudyPaths(tmp_path))


def test_too_few_slices_are_refused_before_reading(tmp_path: Path) -> None:
    write_series(tmp_path, small()[:, :, :2], SeriesDescription="FLAIR")
    with pytest.raises(InputError, match=r"FLAIR has 32 x 36 x 2 voxels, but at least 3 slices"):
        read_study(StudyPaths(tmp_path))


def test_rescaled_values_are_the_scanner_s(tmp_path: Path) -> None:
    write_series(tmp_path, small(), SeriesDescription="FLAIR", RescaleSlope="0.5", RescaleIntercept="3")
    np.testing.assert_allclose(read_study(StudyPaths(tmp_path)).flair, array(small()) * 0.5 + 3)


def test_enhanced_multi_frame_file_is_one_volume(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "flair.dcm", head(), SeriesDescription="FLAIR 3D")
    for given in (path, tmp_path):
        study = read_study(StudyPaths(given))
        np.testing.assert_array_equal(study.flair, array(head()))
        assert study.geometry.is_close_to(Geometry.of_image(head()), 1e-3)


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "one file of the series"])
def test_damaged_last_slice_is_a_warning(tmp_path: Path, whole: bool) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    paths[5].write_bytes(paths[5].read_bytes()[:-900])
    study = read_study(StudyPaths(tmp_path if whole else paths[0]))
    assert study.flair.shape[0] == 5
    assert study.warnings == (
        "1 DICOM file is damaged and left out, so FLAIR may be incomplete: copy or export the folder again.",
    )


def test_damaged_slice_in_the_middle_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    paths[1].write_bytes(paths[1].read_bytes()[:-900])
    with pytest.raises(GeometryError, match=r"15\.00 mm between slices 1 and 2.*Export the whole series again"):
        read_study(StudyPaths(tmp_path))


def test_reports_beside_the_images_are_left_out(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    report = pydicom.dcmread(paths[0])
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(report, keyword)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.SeriesInstanceUID, report.Modality = "1.2.3.9", "SR"
    report.save_as(tmp_path / "report.dcm")
    shutil.copy(__file__, tmp_path / "readme.txt")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()))


COMPRESSIONS = {"RLE": RLELossless, "JPEG 2000": JPEG2000Lossless}


def geometries(seed: int) -> tuple[sitk.Image, np.random.Generator]:
    """A volume with its own size, anisotropic spacing and oblique direction."""
    random = np.random.default_rng(seed)
    size = tuple(int(n) for n in random.integers((17, 17, 4), (40, 40, 12)))
    spacing = tuple(float(mm) for mm in random.uniform((0.5, 0.5, 0.8), (3.0, 3.0, 9.0)))
    tilt = tuple(float(degrees) for degrees in random.uniform(-170, 170, 3))
    image = sitk.GetImageFromArray(random.integers(-300, 900, size[::-1]).astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin(random.uniform(-200, 200, 3).tolist())
    image.SetDirection(sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians(tilt).tolist()).GetMatrix())
    return image, random


def check_same(flair: np.ndarray, geometry: Geometry, image: sitk.Image, values: np.ndarray | None = None) -> None:
    """Voxels and places are those of the image that was written, by SimpleITK's own arithmetic."""
    np.testing.assert_allclose(flair, array(image) if values is None else values, rtol=1e-5, atol=1e-3)
    assert geometry.size_ijk == image.GetSize()
    for index in ((0, 0, 0), (image.GetWidth() - 1, 0, 1), (3, image.GetHeight() - 1, image.GetDepth() - 1)):
        place = (geometry.affine_lps @ (*index, 1))[:3]
        np.testing.assert_allclose(place, image.TransformIndexToPhysicalPoint(index), atol=2e-3)


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_files_or_frames_gives_the_volume_that_was_written(tmp_path: Path, seed: int) -> None:
    """Shuffled, reversed, interleaved; own slopes; oblique and anisotropic: as classic and as multi-frame file."""
    image, random = geometries(seed)
    slices = image.GetDepth()
    orders = [list(range(slices)), list(range(slices))[::-1], [*range(0, slices, 2), *range(1, slices, 2)]]
    order = [*orders, random.permutation(slices).tolist()][seed % 4]
    slopes = random.choice([0.25, 0.5, 1.0, 2.0], slices)

    def scaled_frame(frame: pydicom.Dataset, number: int) -> float:
        scaling = pydicom.Dataset()
        scaling.RescaleSlope, scaling.RescaleIntercept = f"{slopes[number]}", f"{number}"
        frame.PixelValueTransformationSequence = [scaling]
        return float(slopes[number])

    def scaled_file(dataset: pydicom.Dataset, k: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slopes[k]}", "-7"

    write_enhanced(tmp_path / "e" / "a.dcm", image, order, scaled_frame, SeriesDescription="FLAIR")
    stored = [np.trunc(array(image)[k] / slopes[order.index(k)]) for k in range(slices)]
    values = np.array([stored[k] * slopes[order.index(k)] + order.index(k) for k in range(slices)])
    study = read_study(StudyPaths(tmp_path / "e" / "a.dcm"))
    check_same(study.flair, study.geometry, image, values)
    paths = write_series(tmp_path / "c", image, edit=scaled_file, SeriesDescription="FLAIR")
    for number, k in enumerate(order):
        paths[k].rename(tmp_path / "c" / f"{number:03d}")
    study = read_study(StudyPaths(tmp_path / "c"))
    check_same(study.flair, study.geometry, image, array(image) * slopes[:, None, None] - 7)


@pytest.mark.parametrize("seed", range(4))
def test_a_gap_is_refused_wherever_it_is(tmp_path: Path, seed: int) -> None:
    image, random = geometries(seed + 100)
    gap = int(random.integers(1, image.GetDepth() - 1))
    left = [k for k in range(image.GetDepth()) if k != gap]
    write_enhanced(tmp_path / "a.dcm", image, random.permutation(left).tolist(), SeriesDescription="FLAIR")
    message = rf"not evenly spaced: {2 * image.GetSpacing()[2]:.2f} mm between slices {gap} and {gap + 1}"
    with pytest.raises(GeometryError, match=message):
        read_study(StudyPaths(tmp_path / "a.dcm"))


@pytest.mark.parametrize("one_after_the_other", [True, False])
def test_echoes_of_a_multi_frame_file_are_refused_by_name(tmp_path: Path, one_after_the_other: bool) -> None:
    slices = small().GetDepth()
    order = [*range(slices)] * 2 if one_after_the_other else [k for k in range(slices) for _ in "ab"]

    def echo(frame: pydicom.Dataset, number: int) -> None:
        item = pydicom.Dataset()
        second = number >= slices if one_after_the_other else number % 2
        item.EffectiveEchoTime = 120.0 if second else 90.0
        frame.MREchoSequence = [item]

    write_enhanced(tmp_path / "a.dcm", small(), order, echo, SeriesDescription="FLAIR")
    listed = r"echo time \(ms\) 90\.0 \(6 slices, MR\); .*echo time \(ms\) 120\.0 \(6 slices, MR\)"
    with pytest.raises(InputError, match=rf"FLAIR: 2 series fit among the 2 in .*{listed}"):
        read_study(StudyPaths(tmp_path / "a.dcm"))


@pytest.mark.parametrize("syntax", COMPRESSIONS.values(), ids=COMPRESSIONS.keys())
def test_compressed_frames_keep_their_own_slopes(tmp_path: Path, syntax: str) -> None:
    """Compressed by SimpleITK's GDCM (JPEG 2000) and pydicom (RLE), which decode nothing here."""
    paths = write_series(
        tmp_path,
        small(),
        edit=lambda one, k: one.__setattr__("RescaleSlope", f"{k + 1}") or one.__setattr__("RescaleIntercept", "5"),
        SeriesDescription="FLAIR",
    )
    for path in paths:
        dataset = pydicom.dcmread(path)
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        else:
            dataset.PixelData = encapsulate([codestream(dataset.pixel_array)])
            dataset["PixelData"].is_undefined_length = True
            dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)
    study = read_study(StudyPaths(tmp_path))
    expected = array(small()) * np.arange(1, 7)[:, None, None] + 5
    check_same(study.flair, study.geometry, small(), expected)


def test_compressed_file_that_was_cut_short_is_left_out_with_a_warning(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    paths[5].write_bytes(paths[5].read_bytes()[:-300])
    study = read_study(StudyPaths(tmp_path))
    np.testing.assert_array_equal(study.flair, array(small())[:5])
    assert [warning[:34] for warning in study.warnings] == ["1 DICOM file is damaged and left o"]


def test_key_image_of_the_series_is_no_rival(tmp_path: Path) -> None:
    write_series(tmp_path, small(), SeriesDescription="AX FLAIR")
    write_series(tmp_path, small()[:, :, :1] + 9, SeriesDescription="AX FLAIR KEY")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()))


@pytest.mark.parametrize("kind", ["JPEG 2000", "JPEG"])
def test_compressed_pixels_that_announce_another_size_are_refused(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """60,000 x 60,000 pixels in a slice of two kB: refused before a decoder takes memory for them."""
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    for path in paths:
        dataset = pydicom.dcmread(path)
        stream = bytearray(codestream(dataset.pixel_array))
        if kind == "JPEG":
            encoded = io.BytesIO()
            Image.fromarray((dataset.pixel_array // 4).astype(np.uint8)).save(encoded, "JPEG")
            stream = bytearray(encoded.getvalue())
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        if path == paths[2]:
            size = stream.index(b"\xff\xc0") + 5 if kind == "JPEG" else stream.index(b"\xff\x51") + 6
            stream[size : size + 4] = b"\xea\x60\xea\x60" if kind == "JPEG" else b"\0\0\xea\x60"
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if kind == "JPEG" else JPEG2000Lossless
        dataset.save_as(path)
    with pytest.raises(InputError, match=r"FLAIR: the compressed pixels of .* can't be read: they are damaged"):
        read_study(StudyPaths(tmp_path))
    assert capfd.readouterr().err == ""


def codestream(pixels: np.ndarray) -> bytes:
    """A slice as JPEG 2000, by Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint16)).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
    return stream.getvalue()


def test_bits_beside_the_stored_ones_do_not_count(tmp_path: Path) -> None:
    """Overlays may lie in the upper four bits of sixteen (PS3.5 8.1.1)."""

    def overlaid(dataset: pydicom.Dataset, k: int) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
        values = np.frombuffer(dataset.PixelData, "<u2") & 0x0FFF
        dataset.PixelData = (values | 0x3000).astype("<u2").tobytes()

    write_series(tmp_path, small(), edit=overlaid, SeriesDescription="FLAIR")
    np.testing.assert_array_equal(read_study(StudyPaths(tmp_path)).flair, array(small()).astype(np.uint16) & 0x0FFF)


def test_malformed_files_beside_a_series_cost_no_memory(tmp_path: Path) -> None:
    """Lengths and sizes of gigabytes, announced in files of a few kB; measured in a process of its own."""
    paths = write_series(tmp_path / "good", small(), SeriesDescription="FLAIR")
    whole = paths[0].read_bytes()
    pixels = whole.index(b"\xe0\x7f\x10\x00OW")
    huge = {
        "pixel data": whole[: pixels + 8] + b"\0\0\0\xa0" + whole[pixels + 12 :],
        "early": whole[:400] + b"\x08\0\x70\0UT\0\0\0\0\0\xf0" + whole[400:],
        "sequence": whole[:pixels] + b"\x29\0\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\xb0" + whole[pixels:],
        "meta": whole.replace(b"\2\0\2\0UI", b"\2\0\2\1OB\0\0\0\0\0\xa0\2\0\2\0UI", 1),
        "fragment": whole[:pixels]
        + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\0\0\0\xa0"
        + whole[pixels + 12 :],
        "deflated": whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"),
        "empty": b"",
    }
    dataset = pydicom.dcmread(paths[0])
    for keyword, value in {"Rows": 65535, "Columns": 65535, "NumberOfFrames": "2147483647"}.items():
        setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / "good" / f"{keyword}.dcm")
    for name, content in huge.items():
        (tmp_path / "good" / name).write_bytes(content)
    code = (
        "import resource, sys; from pathlib import Path; from BrainTumorSegLib.engine.study.dicom import find_volumes\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = find_volumes(Path(sys.argv[1]))\n"
        "print(len(found[0].frames), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "good")], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    frames, grown_kb = map(int, run.stdout.split())
    assert frames == 6
    assert grown_kb < 50_000


@pytest.mark.skipif(os.name != "posix", reason="only Unix has names that are no text, and pipes in folders")
def test_names_of_another_character_set_and_pipes_in_a_folder_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    write_series(folder, small(), SeriesDescription="FLAIR")
    expected = read_study(StudyPaths(folder)).flair
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / os.fsdecode(f"Mü{number:03}".encode("latin-1")))
    os.mkfifo(folder / "pipe")
    assert np.array_equal(read_study(StudyPaths(folder)).flair, expected)
