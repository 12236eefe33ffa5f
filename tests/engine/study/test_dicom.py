from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import role_of
from dicom_series import PATIENT, write_enhanced, write_series
from head_phantom import head

TAGS = {
    "description": "0008|103e",
    "protocol": "0018|1030",
    "image_type": "0008|0008",
    "agent": "0018|0010",
    "sequence": "0018|0020",
    "tr": "0018|0080",
    "te": "0018|0081",
    "ti": "0018|0082",
}


def small(inverted: bool = False) -> sitk.Image:
    return head((32, 36, 6), (5.5, 5.5, 20.0), inverted=inverted)


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


def test_sole_series_that_looks_like_another_sequence_is_a_warning(tmp_path: Path) -> None:
    write_series(tmp_path, small(), SeriesDescription="Ax T1 POST")
    study = read_study(StudyPaths(tmp_path))
    assert study.warnings == ("The series used as FLAIR looks like T1 with contrast by its header (Ax T1 POST).",)


def test_sole_series_without_any_hint_is_taken(tmp_path: Path) -> None:
    write_series(tmp_path, small())
    assert read_study(StudyPaths(tmp_path)).warnings == ()


def test_repeated_positions_give_the_first_echo_and_a_warning(tmp_path: Path) -> None:
    write_series(tmp_path, small(), repeats=2, SeriesDescription="FLAIR")
    for path in tmp_path.iterdir():  # both echoes, as scanners write them
        dataset = pydicom.dcmread(path)
        dataset.EchoTime = "90" if "_0_" in path.name else "120"
        dataset.save_as(path)
    study = read_study(StudyPaths(tmp_path))
    np.testing.assert_array_equal(study.flair, array(small()))
    assert study.warnings == ("FLAIR has 2 volumes (echoes or time points); the first one is used.",)


def test_missing_slice_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, small(), SeriesDescription="FLAIR")
    paths[2].unlink()
    with pytest.raises(
        GeometryError, match=r"5 slices .*not evenly spaced \(20\.00 to 40\.00 mm apart\).*Export the whole"
    ):
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
    with pytest.raises(GeometryError, match=r"not evenly spaced.*Export the whole series again"):
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


HINTS = [
    ({"description": "AX FLAIR"}, Role.FLAIR),
    ({"description": "t2_tirm_tra_dark-fluid_3mm"}, Role.FLAIR),
    ({"description": "Sag CUBE T2 FLAIR", "agent": "GADAVIST"}, Role.FLAIR),
    ({"description": "AX FLAIR POST"}, Role.FLAIR),
    ({"protocol": "FLAIR_longTR"}, Role.FLAIR),
    ({"sequence": "SE\\IR", "ti": "2250", "te": "125", "tr": "9000"}, Role.FLAIR),
    ({"description": "AX T1 FLAIR", "ti": "860", "te": "22"}, Role.T1),
    ({"description": "T1W/T2 FLAIR brain", "ti": "2500", "te": "120"}, Role.FLAIR),
    ({"description": "AX T1 PRE GD"}, Role.T1),
    ({"description": "t1_mprage_sag_iso"}, Role.T1),
    ({"description": "Ax T1 without contrast"}, Role.T1),
    ({"description": "T1 SE nativ"}, Role.T1),
    ({"sequence": "SE", "tr": "550", "te": "14"}, Role.T1),
    ({"sequence": "GR\\IR", "ti": "900", "te": "3", "tr": "2000"}, Role.T1),
    ({"description": "AX T1 POST GD"}, Role.T1C),
    ({"description": "AX T1 +C"}, Role.T1C),
    ({"description": "Ax T1 C+"}, Role.T1C),
    ({"description": "t1_se_tra_KM"}, Role.T1C),
    ({"description": "T1Gd"}, Role.T1C),
    ({"description": "t1ce"}, Role.T1C),
    ({"description": "SPGR", "agent": "10ml Magnevist"}, Role.T1C),
    ({"description": "AX T1", "agent": "NONE"}, Role.T1),
    ({"description": "AX T2 FSE", "te": "100", "tr": "4000"}, None),
    ({"description": "DWI b1000"}, None),
    ({"description": "ADC (FLAIR DWI)"}, None),
    ({"description": "FLAIR localizer"}, None),
    ({"description": "T1 MIP"}, None),
    ({"description": "T1", "image_type": "DERIVED\\SECONDARY\\PROJECTION IMAGE"}, None),
    ({"description": "Perfusion DSC"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("hints", "role"), HINTS, ids=[" ".join(hints.values()) or "nothing" for hints, _ in HINTS])
def test_header_tells_the_sequence(hints: dict[str, str], role: Role | None) -> None:
    assert role_of({TAGS[name]: value for name, value in hints.items()}) is role
