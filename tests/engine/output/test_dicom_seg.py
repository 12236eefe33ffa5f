"""DICOM segmentations read back by highdicom, by pydicom alone, and by dciodvfy: the same voxels in the patient."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import GeometryError, InputError
from BrainTumorSegLib.engine.output.dicom_seg import save_dicom_seg
from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.output.writing import OutputPaths, write_result
from BrainTumorSegLib.engine.study.dicom import find_volumes
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.source_series import read_source_series, source_series_of
from dicom_series import PATIENT, write_enhanced, write_series
from head_phantom import head
from result_phantoms import ellipsoid, phantom_result, points_lps

GRIDS = {
    "axial, anisotropic": head((32, 36, 9), (5.5, 4.5, 14.0), (0.0, 0.0, 0.0)),
    "oblique": head((32, 36, 9), (5.5, 4.5, 14.0)),
    "sagittal": head((32, 36, 12), (5.0, 5.0, 12.0), (90.0, 0.0, 90.0)),
    "steep": head((32, 36, 12), (5.0, 5.0, 12.0), (200.0, 20.0, -30.0)),
}
every_grid = pytest.mark.parametrize("image", GRIDS.values(), ids=GRIDS)


def tumour(geometry: Geometry) -> npt.NDArray[np.bool_]:
    return ellipsoid(geometry, (-38.0, 20.0, 10.0), (16.0, 25.0, 18.0))


def written(folder: Path, image: sitk.Image, mask: npt.NDArray[np.bool_] | None = None, by: str | None = None) -> Path:
    """A segmentation of the series in the folder, made as the engine makes it."""
    study = read_study(StudyPaths(folder))
    chosen = tumour(study.geometry) if mask is None else mask
    path = folder.parent / "tumour.dcm"
    report = build_report(phantom_result(study.geometry, chosen))
    save_dicom_seg(Volume(chosen, study.geometry), read_source_series([folder]), report, path, by)
    return path


def marked_points(path: Path) -> npt.NDArray[np.float64]:
    """Positions (LPS, mm) of the marked voxels, sorted: by pydicom and DICOM PS3.3 C.7.6.2.1.1 alone."""
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    spacing = [float(part) for part in shared.PixelMeasuresSequence[0].PixelSpacing]
    cosines = np.array([float(part) for part in shared.PlaneOrientationSequence[0].ImageOrientationPatient])
    found = []
    for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array([float(part) for part in groups.PlanePositionSequence[0].ImagePositionPatient])
        rows, columns = np.nonzero(frame)
        found.append(corner + np.outer(columns * spacing[1], cosines[:3]) + np.outer(rows * spacing[0], cosines[3:]))
    return np.array(sorted(np.concatenate(found).round(2).tolist()))


def assert_same_voxels(path: Path, image: sitk.Image) -> None:
    geometry = Geometry.of_image(image)
    wanted = np.array(sorted(points_lps(geometry)[tumour(geometry)].round(2).tolist()))
    assert len(wanted) > 20
    np.testing.assert_allclose(marked_points(path), wanted, atol=0.03)
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    voxels = np.argwhere(volume.array > 0)
    lps = voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    np.testing.assert_allclose(np.array(sorted(lps.round(2).tolist())), wanted, atol=0.03)


@every_grid
def test_voxels_of_a_series_are_read_back_where_they_were(tmp_path: Path, image: sitk.Image) -> None:
    write_series(tmp_path / "flair", image, SeriesDescription="FLAIR")
    assert_same_voxels(written(tmp_path / "flair", image), image)


def test_no_warning_repeats_the_patients_name(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    """Highdicom warns of a name of one part, which de-identified series often have."""
    write_series(tmp_path / "flair", GRIDS["oblique"], SeriesDescription="FLAIR", PatientName="ONEPART")
    assert pydicom.dcmread(written(tmp_path / "flair", GRIDS["oblique"])).PatientName == "ONEPART"
    assert not [each for each in recwarn if "ONEPART" in str(each.message)]
    assert "ONEPART" not in "".join(capfd.readouterr())


def test_result_of_a_run_refers_to_its_own_images(tmp_path: Path) -> None:
    """From the study as it is read to the file."""
    paths = write_series(tmp_path / "flair", GRIDS["oblique"], SeriesDescription="FLAIR")
    study = read_study(StudyPaths(tmp_path / "flair"))
    result = replace(phantom_result(study.geometry, tumour(study.geometry)), study=study)
    outputs = OutputPaths(tmp_path / "t.seg.nrrd", dicom_seg=tmp_path / "tumour.dcm")
    write_result(result, outputs)
    assert_same_voxels(tmp_path / "tumour.dcm", GRIDS["oblique"])
    named = {
        str(each.ReferencedSOPInstanceUID)
        for each in pydicom.dcmread(tmp_path / "tumour.dcm").ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert named <= {str(pydicom.dcmread(path).SOPInstanceUID) for path in paths}


@every_grid
def test_voxels_of_a_multi_frame_file_are_read_back_where_they_were(tmp_path: Path, image: sitk.Image) -> None:
    write_enhanced(tmp_path / "flair" / "a.dcm", image, SeriesDescription="FLAIR")
    assert_same_voxels(written(tmp_path / "flair", image), image)


def test_order_of_files_and_numbers_does_not_matter(tmp_path: Path) -> None:
    image = GRIDS["oblique"]
    paths = write_series(tmp_path / "flair", image, SeriesDescription="FLAIR")
    for number, path in enumerate(np.random.default_rng(0).permutation(np.array(paths))):
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = number + 1
        dataset.save_as(path.with_name(f"{number:03d}"))
        path.unlink()
    assert_same_voxels(written(tmp_path / "flair", image), image)


def test_frames_refer_to_the_slices_they_were_made_on(tmp_path: Path) -> None:
    image = GRIDS["oblique"]
    write_series(tmp_path / "flair", image, SeriesDescription="FLAIR")
    sources = {str(each.SOPInstanceUID): each for each in map(pydicom.dcmread, (tmp_path / "flair").iterdir())}
    dataset = pydicom.dcmread(written(tmp_path / "flair", image))
    frames = dataset.PerFrameFunctionalGroupsSequence
    assert len(frames) == int(tumour(Geometry.of_image(image)).any(axis=(1, 2)).sum())
    for frame in frames:
        uid = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert frame.PlanePositionSequence[0].ImagePositionPatient == sources[uid].ImagePositionPatient
    one = next(iter(sources.values()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID"):
        assert dataset[keyword].value == one[keyword].value
    assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == one.SeriesInstanceUID
    assert dataset.SeriesInstanceUID != one.SeriesInstanceUID
    assert dataset.PatientName == PATIENT


def test_automatic_result_names_algorithm_weights_and_codes(tmp_path: Path) -> None:
    image = GRIDS["oblique"]
    write_series(tmp_path / "flair", image, SeriesDescription="FLAIR")
    path = written(tmp_path / "flair", image)
    (segment,) = pydicom.dcmread(path).SegmentSequence
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert "ContentCreatorName" not in pydicom.dcmread(path) or not pydicom.dcmread(path).ContentCreatorName
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.AnatomicRegionSequence[0].CodeValue == "12738006"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == "BrainTumorSeg lgg-resunet"
    assert "1.0.0" in algorithm.AlgorithmVersion
    assert f"segmentation_sha256={'ab' * 32}" in algorithm.AlgorithmParameters
    assert "threshold=0.5" in algorithm.AlgorithmParameters


@pytest.mark.parametrize("name", ["Jane Möller", "Иванова", "Möller^Jane"])
def test_corrected_result_is_semiautomatic_and_names_who_corrected(tmp_path: Path, name: str) -> None:
    image = GRIDS["oblique"]
    write_series(tmp_path / "flair", image, SeriesDescription="FLAIR", SpecificCharacterSet="ISO_IR 100")
    dataset = pydicom.dcmread(written(tmp_path / "flair", image, by=name))
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert str(dataset.ContentCreatorName).rstrip("^") == name


def test_corrected_result_without_a_name_is_semiautomatic_too(tmp_path: Path) -> None:
    write_series(tmp_path / "flair", GRIDS["oblique"], SeriesDescription="FLAIR")
    dataset = pydicom.dcmread(written(tmp_path / "flair", GRIDS["oblique"], by=""))
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert not dataset.get("ContentCreatorName")


@pytest.mark.parametrize("name", ["x" * 64, "two\nlines", "back\\slash"])
def test_names_that_dicom_cannot_hold_are_refused(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "flair", GRIDS["oblique"], SeriesDescription="FLAIR")
    with pytest.raises(InputError, match="can't be written.*Give a name of at most 63 letters"):
        written(tmp_path / "flair", GRIDS["oblique"], by=name)


def test_empty_mask_gives_a_segmentation_without_a_voxel(tmp_path: Path) -> None:
    image = GRIDS["oblique"]
    write_series(tmp_path / "flair", image, SeriesDescription="FLAIR")
    path = written(tmp_path / "flair", image, np.zeros(Geometry.of_image(image).shape_kji, bool))
    assert not pydicom.dcmread(path).pixel_array.any()
    assert not highdicom.seg.segread(path).get_volume(combine_segments=True).array.any()


def test_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "flair", GRIDS["oblique"], SeriesDescription="FLAIR")
    other = Geometry.of_image(GRIDS["axial, anisotropic"])
    report = build_report(phantom_result(other, tumour(other)))
    with pytest.raises(GeometryError, match="are not those of the images"):
        save_dicom_seg(
            Volume(tumour(other), other), read_source_series([tmp_path / "flair"]), report, tmp_path / "t.dcm"
        )


def test_several_series_are_refused(tmp_path: Path) -> None:
    first = write_series(tmp_path, GRIDS["oblique"], SeriesDescription="FLAIR")
    write_series(tmp_path, GRIDS["oblique"], SeriesDescription="T1")
    with pytest.raises(InputError, match="2 DICOM volumes are there.*FLAIR series alone"):
        read_source_series([tmp_path])
    assert len(read_source_series(first).images) == len(first)


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(InputError, match="No DICOM volumes are there"):
        read_source_series([tmp_path])


def test_images_without_frame_of_reference_are_refused(tmp_path: Path) -> None:
    for path in write_series(tmp_path, GRIDS["oblique"]):
        dataset = pydicom.dcmread(path)
        del dataset.FrameOfReferenceUID
        dataset.save_as(path)
    with pytest.raises(InputError, match="no frame of reference.*seg.nrrd"):
        read_source_series([tmp_path])


def test_missing_slice_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, GRIDS["oblique"])[3].unlink()
    with pytest.raises(GeometryError, match="are not evenly spaced.*Export the whole series again"):
        read_source_series([tmp_path])


def test_of_two_echoes_the_one_that_was_segmented_is_referred_to(tmp_path: Path) -> None:
    write_series(tmp_path, GRIDS["oblique"], repeats=2)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.EchoTime = "90" if "_0_" in path.name else "120"
        dataset.save_as(path)
    with pytest.raises(InputError, match="2 DICOM volumes are there"):
        read_source_series([tmp_path])
    for volume in find_volumes(tmp_path):
        echoes = {float(image.EchoTime) for image in source_series_of(volume).images}
        assert echoes == {float(volume.frames[0].marks["echo time (ms)"])}


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None and os.environ.get("CI") != "true",
    reason="needs dciodvfy, of Debian's package dicom3tools; in CI it has to be there",
)
@pytest.mark.parametrize("corrected_by", [None, "Jane Möller", ""], ids=["automatic", "corrected", "no name"])
@pytest.mark.parametrize("tumour_there", [True, False], ids=["tumour", "empty"])
@pytest.mark.parametrize("enhanced", [False, True], ids=["series", "multi-frame"])
def test_dciodvfy_finds_no_error(tmp_path: Path, enhanced: bool, tumour_there: bool, corrected_by: str | None) -> None:
    image, folder = GRIDS["oblique"], tmp_path / "flair"
    if enhanced:
        write_enhanced(folder / "a.dcm", image)
    else:
        write_series(folder, image)
    mask = tumour(Geometry.of_image(image)) & tumour_there
    path = written(folder, image, mask, corrected_by)
    checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0
    assert "Error" not in checked.stdout + checked.stderr, checked.stderr
    assert "Segmentation" in checked.stdout + checked.stderr
