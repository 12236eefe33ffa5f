from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, GeometryError, InputError, Remedy
from BrainTumorSegLib.engine.sample.study import SamplePaths
from BrainTumorSegLib.engine.study.alignment import Alignment, by_evidence, by_header, by_registration
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study, study_from_images
from head_phantom import head

FORMATS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def written(folder: Path, image: sitk.Image, name: str = "flair.nii.gz") -> Path:
    path = folder / name
    sitk.WriteImage(image, str(path))
    return path


def with_array(array: np.ndarray) -> sitk.Image:
    """The array on the head's grid (same shape)."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(head())
    return image


def head_array() -> np.ndarray:
    return sitk.GetArrayFromImage(head())


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_study(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, head(), f"flair{suffix}")
    study = read_study(StudyPaths(path))
    np.testing.assert_array_equal(study.flair, head_array())
    assert study.flair.dtype == np.float32
    # NIfTI keeps its orientation as single-precision numbers.
    assert study.geometry.is_close_to(Geometry.of_image(head()), 1e-4)
    assert study.sources["flair"].path == path
    assert study.warnings == ()


@pytest.mark.parametrize("pixel", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_every_real_pixel_type_becomes_float32(tmp_path: Path, pixel: type) -> None:
    array = (head_array().clip(0, 1000) // 4).astype(pixel)
    study = read_study(StudyPaths(written(tmp_path, with_array(array), "flair.nrrd")))
    assert study.flair.dtype == np.float32
    np.testing.assert_array_equal(study.flair, array)


def test_negative_values_stay_as_they_are(tmp_path: Path) -> None:
    study = read_study(StudyPaths(written(tmp_path, with_array(head_array() - 500))))
    assert study.flair.min() < -490


def test_missing_sequences_stay_none(tmp_path: Path) -> None:
    study = read_study(StudyPaths(written(tmp_path, head())))
    assert study.t1 is None
    assert study.t1c is None
    assert set(study.sources) == {"flair"}


@pytest.mark.parametrize("alignment", [by_registration, by_evidence, by_header])
def test_registration_that_was_asked_for_and_has_nothing_to_do_is_said(alignment: Alignment) -> None:
    said = "There was nothing to register to FLAIR: no T1 and no T1 with contrast was given."
    assert study_from_images(head(), alignment=alignment).warnings == ((said,) if alignment is by_registration else ())


def test_other_sequences_come_onto_the_grid_of_flair(tmp_path: Path) -> None:
    """Expected: the other contrast drawn on FLAIR's grid itself."""
    t1 = head((110, 130, 100), (1.8, 1.8, 1.5), (0.0, 0.0, 0.0), inverted=True)
    study = read_study(StudyPaths(written(tmp_path, head()), written(tmp_path, t1, "t1.nrrd")))
    expected = sitk.GetArrayFromImage(head(inverted=True)).astype(float)
    assert study.t1 is not None
    assert study.t1.shape == study.flair.shape
    assert np.corrcoef(study.t1.ravel(), expected.ravel())[0, 1] > 0.95
    assert study.warnings == ()


def test_sequence_on_the_same_grid_is_untouched(tmp_path: Path) -> None:
    t1 = head(inverted=True)
    study = read_study(StudyPaths(written(tmp_path, head()), written(tmp_path, t1, "t1.nii.gz")))
    np.testing.assert_array_equal(study.t1, sitk.GetArrayFromImage(t1))


def test_poor_overlap_is_a_warning_with_the_covered_part() -> None:
    study = study_from_images(head(), head(centre_lps=(0.0, 0.0, 60.0), inverted=True), alignment=by_header)
    assert len(study.warnings) == 1
    assert re.search(r"T1 covers only \d\d% of the head in FLAIR\..*or register it to FLAIR\.", study.warnings[0])
    assert study.remedies == (Remedy.REGISTER,)


def test_sequence_of_another_place_is_refused() -> None:
    message = r"T1 with contrast covers 0% of the head.*register it to FLAIR, or leave it out\."
    with pytest.raises(GeometryError, match=message) as raised:
        study_from_images(head(), t1c=head(centre_lps=(0.0, 500.0, 0.0)))
    assert raised.value.remedy is Remedy.REGISTER


def test_registration_brings_a_moved_sequence_back(sample_study: SamplePaths, tmp_path: Path) -> None:
    """Expected: the sample's own T1, which lies right by its headers."""
    t1 = sitk.ReadImage(str(sample_study.t1))
    t1.SetOrigin(np.add(t1.GetOrigin(), (120.0, -300.0, 80.0)).tolist())
    paths = StudyPaths(sample_study.flair, written(tmp_path, t1, "t1.nii.gz"))
    study = read_study(paths, by_registration)
    right = read_study(StudyPaths(sample_study.flair, sample_study.t1))
    assert study.t1 is not None
    assert right.t1 is not None
    assert np.corrcoef(study.t1.ravel(), right.t1.ravel())[0, 1] > 0.99
    assert len(study.warnings) == 1
    assert study.remedies == ()
    assert re.fullmatch(r"T1 was moved by 33\d\.\d mm and turned by 0\.\d degrees to fit FLAIR\.", study.warnings[0])


def test_cancel_before_reading_stops_at_once(sample_study: SamplePaths) -> None:
    with pytest.raises(Cancelled, match="Nothing was written"):
        read_study(StudyPaths(sample_study.flair, sample_study.t1), is_cancelled=lambda: True)


def test_study_from_images_is_the_study_that_is_read(tmp_path: Path) -> None:
    flair, t1c = head(), head((40, 48, 30), (4.5, 4.5, 4.5), inverted=True)
    paths = written(tmp_path, flair, "f.nrrd"), written(tmp_path, t1c, "c.nrrd")
    read = read_study(StudyPaths(paths[0], None, paths[1]))
    made = study_from_images(sitk.ReadImage(str(paths[0])), t1c=sitk.ReadImage(str(paths[1])))
    np.testing.assert_array_equal(made.flair, read.flair)
    np.testing.assert_array_equal(made.t1c, read.t1c)
    assert made.sources == {}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_four_dimensions_give_the_first_frame_and_a_warning(tmp_path: Path, suffix: str) -> None:
    frames = sitk.JoinSeries([head(), head(inverted=True), head(inverted=True)])
    study = read_study(StudyPaths(written(tmp_path, frames, f"flair{suffix}")))
    np.testing.assert_array_equal(study.flair, head_array())
    assert study.geometry.is_close_to(Geometry.of_image(head()), 1e-4)
    assert study.warnings == ("FLAIR has 3 volumes (echoes or time points); the first one is used.",)


def test_one_frame_in_four_dimensions_is_no_warning() -> None:
    study = study_from_images(sitk.JoinSeries([head()]))
    np.testing.assert_array_equal(study.flair, head_array())
    assert study.warnings == ()


def test_nan_and_infinity_become_the_lowest_value_with_a_warning() -> None:
    array = head_array().astype(np.float32)
    array[3, 4, 5], array[6, 7, 8], array[9, 10, 11] = np.nan, np.inf, -np.inf
    lowest = array[np.isfinite(array)].min()
    study = study_from_images(with_array(array))
    assert [study.flair[place] for place in ((3, 4, 5), (6, 7, 8), (9, 10, 11))] == [lowest] * 3
    assert study.warnings == (f"FLAIR: 3 voxels were not finite numbers and were set to the lowest value, {lowest:g}.",)


@pytest.mark.parametrize(
    ("tilt", "plane"), [((0.0, 90.0, 0.0), "sagittal"), ((90.0, 0.0, 0.0), "coronal")], ids=["sagittal", "coronal"]
)
def test_thick_stack_that_is_not_axial_is_a_warning(tilt: tuple[float, float, float], plane: str) -> None:
    thick = study_from_images(head((56, 48, 30), (4.0, 4.0, 5.0), tilt))
    assert thick.warnings == (
        f"FLAIR is a {plane} stack with 5.0 mm between slices. Axial slices made from it are blurred, so the outline "
        "is less certain; an axial or a thin-slice 3D acquisition is better.",
    )
    assert study_from_images(head((110, 80, 60), (2.0, 2.4, 2.4), tilt)).warnings == ()
    assert study_from_images(head()).warnings == ()


@pytest.mark.parametrize(("distance_mm", "is_told"), [(6.0, False), (7.9, False), (11.0, True)])
def test_axial_slices_far_apart_are_a_warning(distance_mm: float, is_told: bool) -> None:
    warnings = study_from_images(head((48, 56, 14), (4.0, 4.0, distance_mm))).warnings
    expected = f"FLAIR's slices are {distance_mm:.1f} mm apart, farther than any that the model was measured on."
    assert [expected in warning for warning in warnings] == ([True] if is_told else [])


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def text_file(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("no image")
    return path


def lying_name(folder: Path) -> Path:
    path = folder / "flair.nii.gz"
    path.write_text("no image")
    return path


def truncated(suffix: str, compressed: bool) -> Callable[[Path], Path]:
    def cut(folder: Path) -> Path:
        path = folder / f"flair{suffix}"
        sitk.WriteImage(head(), str(path), compressed)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        return path

    return cut


def header_without_data(folder: Path) -> Path:
    path = written(folder, head(), "flair.mhd")
    (folder / "flair.raw").unlink()
    return path


REFUSED = {
    "missing file": (lambda folder: folder / "no.nii", r"FLAIR: .*no\.nii does not exist\. Check the path"),
    "folder without DICOM": (empty_folder, r"FLAIR: the folder .*empty holds no DICOM images\. Choose the folder"),
    "other format": (text_file, r"notes\.txt has a format that is not supported\. Use a DICOM folder or .*\.nii\.gz"),
    "not what its name says": (
        lying_name,
        r"can't be read: it does not begin with a NIfTI header\. Copy",
    ),
    "header without data": (
        header_without_data,
        r"flair\.mhd can't be read: its data are in flair\.raw, which is no single file.*Copy the data",
    ),
    **{
        f"truncated {suffix}{' compressed' * compressed}": (
            truncated(suffix, compressed),
            r"FLAIR: .* can't be read[.:] .*\. Copy or export it again",
        )
        for suffix, compressed in (
            (".nii", False),
            (".nii.gz", True),
            (".nrrd", False),
            (".nrrd", True),
            (".mha", False),
            (".mha", True),
        )
    },
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_unreadable_input_is_one_clear_line(
    tmp_path: Path, make: Callable[[Path], Path], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_study(StudyPaths(make(tmp_path)))
    assert "\n" not in str(caught.value)
    noise = capfd.readouterr().err  # MetaIO's own lines can't be turned off; they name no file
    assert all(line.startswith(("MetaImage:", "   ideal")) for line in noise.splitlines())


UNFIT = {
    "constant": (lambda: with_array(np.full_like(head_array(), 7)), r"FLAIR is empty: every voxel has the value 7\."),
    "no number": (
        lambda: with_array(np.full(head_array().shape, np.nan, np.float32)),
        r"FLAIR holds no number: every voxel is NaN or infinite\. Export",
    ),
    "colour": (lambda: sitk.Compose([head()] * 3), r"FLAIR has 3 values per voxel.*original MR series"),
    "complex": (
        lambda: sitk.RealAndImaginaryToComplex(*[sitk.Cast(head(), sitk.sitkFloat32)] * 2),
        r"FLAIR has complex voxels\. Choose the magnitude",
    ),
    "picture": (lambda: head()[:, :, 3], r"FLAIR is a single picture of 48 x 56 pixels.*whole series"),
    "two slices": (lambda: head()[:, :, 3:5], r"FLAIR has 48 x 56 x 2 voxels, but at least 3 slices of 16 x 16"),
    "narrow": (lambda: head()[:15, :, :14], r"FLAIR has 15 x 56 x 14 voxels, but at least 3 slices of 16 x 16"),
    "huge": (lambda: sitk.Image(900, 900, 800, sitk.sitkUInt8), r"900 x 900 x 800 voxels, more than the 600 million"),
}


@pytest.mark.parametrize(("make", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_unfit_volume_is_refused_with_value_and_limit(make: Callable[[], sitk.Image], message: str) -> None:
    with pytest.raises(InputError, match=message):
        study_from_images(make())


def test_unfit_volume_is_refused_from_a_file_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"FLAIR has 3 values per voxel"):
        read_study(StudyPaths(written(tmp_path, sitk.Compose([head()] * 3), "flair.nrrd")))


def test_huge_file_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "flair.mhd"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 3000 3000 3000\nElementType = MET_SHORT\nElementDataFile = none.raw\n"
    )
    with pytest.raises(InputError, match=r"FLAIR has 3000 x 3000 x 3000 voxels, more than the 600 million"):
        read_study(StudyPaths(path))


def test_spacing_in_metres_is_refused() -> None:
    image = head()
    image.SetSpacing((0.004, 0.004, 0.007))
    with pytest.raises(GeometryError, match=r"spacing of 0.004 x 0.004 x 0.007 mm, but 0.05 to 30.0 mm.*header"):
        study_from_images(image)


def test_sheared_axes_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, head(), "flair.nrrd")
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    header = re.sub(rb"space directions: .*", b"space directions: (4,0,0) (1.5,4,0) (0,0,7)", header)
    path.write_bytes(header + b"\n\n" + voxels)
    with pytest.raises(GeometryError, match=r"FLAIR's axes are not perpendicular \(off by 0\.3.*rectangular grid"):
        read_study(StudyPaths(path))


def test_nifti_without_a_usable_orientation_is_refused(tmp_path: Path) -> None:
    """NIfTI-1: qform_code at byte 252, sform_code at 254, the sform's rows from byte 280, little-endian floats."""
    data = bytearray(written(tmp_path, head(), "plain.nii").read_bytes())
    data[252:256] = np.array([0, 1], "<i2").tobytes()
    data[280:328] = np.array([[4, 3, 0, 0], [0, 4, 2, 0], [1, 0, 7, 0]], "<f4").tobytes()
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(GeometryError, match=r"axes are not perpendicular.*rectangular grid"):
        read_study(StudyPaths(path))


def nifti(folder: Path, *edits: tuple[int, str, object]) -> Path:
    """The head as NIfTI-1 with fields changed: byte, numpy type, value (nifti1.h)."""
    data = bytearray(written(folder, head(), "plain.nii").read_bytes())
    for place, kind, value in edits:
        changed = np.array(value, kind).tobytes()
        data[place : place + len(changed)] = changed
    path = folder / "flair.nii"
    path.write_bytes(bytes(data))
    return path


QFORM_ONLY, SFORM_ONLY, NEITHER = (252, "<i2", [1, 0]), (252, "<i2", [0, 1]), (252, "<i2", [0, 0])
PIXDIM, UNITS, QUATERNION, OFFSET, SFORM = 80, 123, 256, 268, 280
TURNED_SFORM = [[-4.0, 0, 0, 0], [0, -4, 0, 0], [0, 0, 7, 0]]


@pytest.mark.parametrize("form", [NEITHER, QFORM_ONLY, SFORM_ONLY], ids=["neither", "qform", "sform"])
@pytest.mark.parametrize("sizes", [(0, 0, 0), (-4, -4, -7), (4, 4, -7), (4, 4, np.nan)])
def test_nifti_whose_voxels_have_no_size_is_refused(tmp_path: Path, form: tuple, sizes: tuple[float, ...]) -> None:
    path = nifti(tmp_path, form, (PIXDIM, "<f4", sizes))
    shown = " x ".join(f"{size:g}" for size in sizes)
    with pytest.raises(GeometryError, match=rf"FLAIR has a voxel spacing of {shown} mm in .*Correct the spacing"):
        read_study(StudyPaths(path))


def test_nifti_whose_pixdim_contradicts_its_only_orientation_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path, SFORM_ONLY, (PIXDIM, "<f4", [1, 1, 1]))
    message = r"header of .* contradicts itself: voxels of 1 x 1 x 1 mm by pixdim, but of 4 x 4 x 7 mm by the sform"
    with pytest.raises(GeometryError, match=message):
        read_study(StudyPaths(path))


def test_nifti_whose_orientations_disagree_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path, (252, "<i2", [1, 1]), (SFORM, "<f4", TURNED_SFORM))
    with pytest.raises(GeometryError, match=r"sform and qform in .* place the same voxel up to \d+\.\d mm apart"):
        read_study(StudyPaths(path))


@pytest.mark.parametrize("codes", [(1, 2), (2, 1), (1, 4)])
def test_nifti_whose_orientations_mirror_each_other_is_refused(tmp_path: Path, codes: tuple[int, int]) -> None:
    """Whatever two spaces they lead to: one of them swaps the patient's left and right."""
    mirrored = np.array(TURNED_SFORM) * [-1, 1, 1, 1]
    path = nifti(tmp_path, (252, "<i2", codes), (SFORM, "<f4", mirrored))
    with pytest.raises(GeometryError, match=r"FLAIR: by the sform in .* mirror image .* left and right are unknown"):
        read_study(StudyPaths(path))


def test_scanner_s_orientation_counts_beside_that_of_a_template(tmp_path: Path) -> None:
    """Code 4 is MNI space: the patient lies where the qform says."""
    path = nifti(tmp_path, (252, "<i2", [1, 4]), (SFORM, "<f4", TURNED_SFORM))
    assert read_study(StudyPaths(path)).geometry.is_close_to(Geometry.of_image(head()), 1e-4)


@pytest.mark.parametrize(
    "edits",
    [
        [SFORM_ONLY, (SFORM + 12, "<f4", np.nan)],
        [SFORM_ONLY, (SFORM, "<f4", np.zeros(12))],
        [QFORM_ONLY, (QUATERNION, "<f4", [np.nan, 0, 0])],
        [QFORM_ONLY, (OFFSET, "<f4", [np.inf, 0, 0])],
    ],
    ids=["NaN origin", "zero axes", "NaN quaternion", "infinite offset"],
)
def test_nifti_that_lies_nowhere_is_refused_without_a_word_of_itk(
    tmp_path: Path, edits: list, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GeometryError, match=r"holds values that are no numbers, or axes without a direction"):
        read_study(StudyPaths(nifti(tmp_path, *edits)))
    assert capfd.readouterr().err == ""


def test_nifti_without_orientation_is_a_warning(tmp_path: Path) -> None:
    study = read_study(StudyPaths(nifti(tmp_path, NEITHER)))
    assert study.geometry.direction_lps == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert [warning[:46] for warning in study.warnings] == ["FLAIR's header does not say how the image lies"]


@pytest.mark.parametrize(("unit", "scale"), [(1, 0.001), (3, 1000.0)], ids=["metres", "micrometres"])
def test_nifti_in_other_units_is_read_in_millimetres(tmp_path: Path, unit: int, scale: float) -> None:
    image = head()
    rows = np.column_stack([np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing(), image.GetOrigin()])
    sform = np.diag([-1, -1, 1]) @ rows * scale
    sizes = np.multiply(image.GetSpacing(), scale)
    path = nifti(tmp_path, SFORM_ONLY, (UNITS, "u1", unit), (PIXDIM, "<f4", sizes), (SFORM, "<f4", sform))
    assert read_study(StudyPaths(path)).geometry.is_close_to(Geometry.of_image(image), 1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_nifti_lies_where_its_quaternion_and_its_matrix_say(tmp_path: Path, seed: int) -> None:
    """Random rotations, mirrored or not, written as qform and as sform; corners by nifti1.h's formulas."""
    random = np.random.default_rng(seed)
    quaternion = random.normal(size=4) + np.array([2, 0, 0, 0])  # far from half a turn: single precision
    quaternion *= np.sign(quaternion[0]) / np.linalg.norm(quaternion)
    mirrored, sizes, offset = random.choice([-1.0, 1.0]), random.uniform(0.5, 6, 3), random.uniform(-90, 90, 3)
    rotation = np.reshape(sitk.VersorTransform(np.roll(quaternion, -1).tolist()).GetMatrix(), (3, 3))
    ras = np.column_stack([rotation * [1, 1, mirrored] * sizes, offset])
    qform = nifti(
        tmp_path,
        QFORM_ONLY,
        (76, "<f4", [mirrored, *sizes]),
        (QUATERNION, "<f4", quaternion[1:]),
        (OFFSET, "<f4", offset),
    )
    by_qform = read_study(StudyPaths(qform)).geometry
    sform = nifti(tmp_path, SFORM_ONLY, (PIXDIM, "<f4", sizes), (SFORM, "<f4", ras))
    by_sform = read_study(StudyPaths(sform)).geometry
    for geometry in (by_qform, by_sform):
        for index in ((0, 0, 0), (47, 0, 5), (3, 55, 19)):
            expected = np.diag([-1, -1, 1]) @ (ras @ (*index, 1))
            np.testing.assert_allclose((geometry.affine_lps @ (*index, 1))[:3], expected, atol=2e-3)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize(("shear", "accepted"), [(5e-4, True), (3e-3, False)])
def test_shear_has_one_limit_in_every_format(tmp_path: Path, suffix: str, shear: float, accepted: bool) -> None:
    direction = np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    path = tmp_path / f"flair{suffix}"
    if suffix == ".nii":
        rows = np.column_stack([np.diag([-1, -1, 1]) @ direction * (4, 4, 7), (0, 0, 0)])
        path = nifti(tmp_path, SFORM_ONLY, (SFORM, "<f4", rows))
    else:
        image = head()
        image.SetDirection(direction.ravel().tolist())
        sitk.WriteImage(image, str(path))
    if accepted:
        np.testing.assert_array_equal(read_study(StudyPaths(path)).flair, head_array())
        return
    with pytest.raises(GeometryError, match=r"axes are not perpendicular \(off by 0\.003; up to 0\.001 is allowed\)"):
        read_study(StudyPaths(path))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (1536, r"voxels of a type that is not supported \(NIfTI code 1536\).*16-bit integers"),
        (1, r"not supported \(NIfTI code 1\)"),
        (32, r"complex voxels"),
        (128, r"3 values per voxel"),
    ],
)
def test_nifti_voxels_that_are_no_grey_values_are_refused_by_name(tmp_path: Path, code: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_study(StudyPaths(nifti(tmp_path, (70, "<i2", code))))


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_nifti_type_is_scaled_by_its_slope(tmp_path: Path, kind: str, order: str) -> None:
    """NIfTI-1 written field by field from nifti1.h."""
    codes = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
    stored = np.random.default_rng(0).integers(0, 120, (4, 17, 18)).astype(order + kind)
    header = bytearray(352)
    for place, type_, value in (
        (0, "i4", 348),
        (40, "i2", [3, 18, 17, 4, 1, 1, 1, 1]),
        (70, "i2", [codes[kind], 8 * stored.itemsize]),
        (76, "f4", [1, 2, 3, 4, 0, 0, 0, 0]),
        (108, "f4", [352, 0.5, -7]),
        (252, "i2", [1, 0]),
    ):
        value = np.array(value, order + type_).tobytes()
        header[place : place + len(value)] = value
    header[344:348] = b"n+1\0"
    path = tmp_path / "flair.nii"
    path.write_bytes(bytes(header) + stored.tobytes())
    np.testing.assert_array_equal(read_study(StudyPaths(path)).flair, stored.astype(np.float32) * 0.5 - 7)


def test_nifti_2_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "flair.nii"
    path.write_bytes(np.array([540], "<i4").tobytes() + b"n+2\0\r\n\x1a\n" + bytes(1000))
    with pytest.raises(InputError, match=r"flair\.nii is in NIfTI-2 format\. Save it as NIfTI-1 or NRRD"):
        read_study(StudyPaths(path))


def test_big_endian_nifti_is_read(tmp_path: Path) -> None:
    """NIfTI-1 written field by field from nifti1.h, most significant byte first."""
    array = head_array()
    header = bytearray(352)
    header[0:4] = np.array([348], ">i4").tobytes()
    header[40:56] = np.array([3, *array.shape[::-1], 1, 1, 1, 1], ">i2").tobytes()
    header[70:74] = np.array([4, 16], ">i2").tobytes()
    header[76:108] = np.array([1, 4, 4, 7, 0, 0, 0, 0], ">f4").tobytes()
    header[108:116] = np.array([352, 1], ">f4").tobytes()
    header[252:254] = np.array([1], ">i2").tobytes()
    header[344:348] = b"n+1\0"
    path = tmp_path / "flair.nii"
    path.write_bytes(bytes(header) + array.astype(">i2").tobytes())
    np.testing.assert_array_equal(read_study(StudyPaths(path)).flair, array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"it has 107519 of 107520 bytes of data\. Copy or export"):
        read_study(StudyPaths(path))


@pytest.mark.parametrize(
    ("place", "value"),
    [(40, np.array([200], "<i2")), *((108, np.array([place], "<f4")) for place in (np.nan, 0, 348, -1))],
    ids=["dimensions", "offset", "no offset", "offset in the header", "offset before the file"],
)
def test_nonsense_in_a_nifti_header_is_refused(tmp_path: Path, place: int, value: np.ndarray) -> None:
    path = written(tmp_path, head(), "flair.nii")
    data = bytearray(path.read_bytes())
    data[place : place + value.nbytes] = value.tobytes()
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"its header tells of \d+ dimensions and data at byte .*\. Copy or export"):
        read_study(StudyPaths(path))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_with_more_data_than_its_header_tells_of_is_refused(tmp_path: Path, suffix: str) -> None:
    """The header tells of single bytes (code 2) where the voxels have two; a few bytes at the end do no harm."""
    data = bytearray(written(tmp_path, head(), "plain.nii").read_bytes())
    path = tmp_path / f"flair{suffix}"
    pack = gzip.compress if suffix == ".nii.gz" else bytes
    path.write_bytes(pack(bytes(data) + bytes(1000)))
    np.testing.assert_array_equal(read_study(StudyPaths(path)).flair, head_array())
    data[70:74] = np.array([2, 8], "<i2").tobytes()
    path.write_bytes(pack(bytes(data)))
    with pytest.raises(InputError, match=r"it has 53760 bytes more than its header tells of\. Copy or export"):
        read_study(StudyPaths(path))


def test_native_study_is_read_and_its_moved_sequences_brought_back() -> None:
    folder = Path(__file__).parents[4] / "shared" / "native"
    if not folder.is_dir():
        pytest.skip("needs ../shared/native, which only development machines have")
    paths = StudyPaths(*(folder / f"TCGA_FG_6692_{name}.nii.gz" for name in ("flair", "t1", "t1c")))
    study = read_study(paths)
    assert study.flair.shape == (26, 256, 208)
    assert study.warnings == (
        "T1 was moved by 17.0 mm and turned by 5.1 degrees to fit FLAIR.",
        "T1 with contrast was moved by 16.0 mm and turned by 13.7 degrees to fit FLAIR.",
    )
