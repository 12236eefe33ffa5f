import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from brain_tumor_training.bundles import BundleDescription, export_bundle, write_index
from brain_tumor_training.evaluation_studies import FileSource, KaggleSource, data_sources
from brain_tumor_training.kaggle import read_patient
from brain_tumor_training.main import main
from BrainTumorSegLib.engine.bundle import Recommendation
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.reading import StudyPaths
from bundles import CHANNELS_2D, bright_flair_network, bright_slice_classifier
from kaggle_phantom import write_data_set, write_patient


def _description(name: str, network: str, classifier: str | None = None) -> BundleDescription:
    return BundleDescription(
        name=name,
        version="1.0.0",
        title=name,
        description="made for a test",
        network=network,
        arguments={"input_channels": 3},
        channels=tuple(CHANNELS_2D),
        init="scratch",
        patients=0,
        recommendation=Recommendation(gate=0.0),
        classifier=classifier,
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network that finds bright FLAIR, and a real untrained classifier, as a release."""
    folder = tmp_path_factory.mktemp("release")
    segmentation = _description("bright", "ResUNet", classifier="slices")
    classifier = _description("slices", "EfficientNetLite0Classifier")
    export_bundle(segmentation, bright_flair_network().state_dict(), folder)
    export_bundle(classifier, bright_slice_classifier().state_dict(), folder)
    write_index(folder, [segmentation, classifier])
    return folder


def test_held_out_patients_are_segmented_by_the_real_command_and_measured(tmp_path: Path, release: Path) -> None:
    names = write_data_set(tmp_path / "data", patients=2)
    folds = tmp_path / "folds.csv"
    folds.write_text("patient,fold\n" + "".join(f"{name},{fold}\n" for fold, name in enumerate(names)))
    arguments = ["--data", tmp_path / "data", "--folds", folds, "--fold", 1, "--release", release, "--gate", "off"]
    assert main(["evaluate", str(tmp_path / "out"), *map(str, arguments)]) == 0

    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["metrics"]["patients"] == 1
    assert content["metrics"]["volumetric_dice"]["mean"]["value"] == pytest.approx(1.0, abs=0.02)
    assert content["metrics"]["slice_classifier"]["at_threshold"].keys() == {"0.5"}
    assert content["metrics"]["maximum_probability_roc_auc"]["value"] == 1.0
    assert content["about"]["models"]["segmentation"]["name"] == "bright"
    assert content["about"]["fold"] == 1
    assert content["subgroups"]["site CS"]["patients"] == 1
    assert content["subgroups"]["sequences: flair, t1, t1c"]["mean"] == pytest.approx(1.0, abs=0.02)
    rows = list(csv.DictReader((tmp_path / "out" / "per_patient.csv").open()))
    assert [row["patient"] for row in rows] == [names[1]]
    assert len(list(csv.DictReader((tmp_path / "out" / "per_slice.csv").open()))) == 6


def test_a_study_folder_with_real_spacing_gets_surface_distances(tmp_path: Path, release: Path) -> None:
    with KaggleSource(write_patient(tmp_path, "TCGA_CS_0001_20000101")).open() as study:
        folder = tmp_path / "external" / "one"
        folder.mkdir(parents=True)
        flair = sitk.ReadImage(str(study.paths.flair))
        reference = sitk.GetImageFromArray(study.reference.astype(np.uint8) * 2)
        reference.CopyInformation(flair)
    # The same grid stored from head to foot: slices must still be counted inferior first.
    for name, image in (("flair", flair), ("seg", reference)):
        sitk.WriteImage(sitk.DICOMOrient(image, "LAI"), str(folder / f"{name}.nii.gz"))
    arguments = [str(tmp_path / "out"), "--external", str(tmp_path / "external"), "--release", str(release)]
    assert main(["evaluate", *arguments]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert metrics["volumetric_dice"]["mean"]["value"] == pytest.approx(1.0, abs=0.02)
    assert metrics["surface_distance"]["median_hd95_mm"] <= 1.0
    assert metrics["surface_distance"]["median_nsd_2mm"] == pytest.approx(1.0, abs=0.01)


def test_a_kaggle_stack_is_written_in_lps_order(tmp_path: Path) -> None:
    folder = write_patient(tmp_path, "TCGA_CS_0001_20000101")
    with KaggleSource(folder).open() as study:
        flair = sitk.ReadImage(str(study.paths.flair))
        assert flair.GetSpacing() == pytest.approx((0.9, 0.9, 5.5))
        assert flair.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(flair), read_patient(folder).sequences[1])
        assert study.paths.t1 is not None
        np.testing.assert_array_equal(
            sitk.GetArrayFromImage(sitk.ReadImage(str(study.paths.t1))), read_patient(folder).sequences[0]
        )
    assert not study.paths.flair.exists()


def test_studies_of_ones_own_are_evaluated_as_they_lie(tmp_path: Path) -> None:
    for name, dtype in (("f", np.float32), ("m", np.uint8)):
        sitk.WriteImage(sitk.GetImageFromArray(np.eye(4, dtype=dtype)[None]), str(tmp_path / f"{name}.nii.gz"))
    table = tmp_path / "patients.csv"
    table.write_text("patient,flair,t1,t1c,mask,fold\na,f.nii.gz,,,m.nii.gz,0\n")
    with data_sources(table)["a"].open() as study:
        assert study.reference.sum() == 4
        assert study.sequences == ("flair",)
        assert study.has_real_spacing
    with pytest.raises(InputError, match=r"can't be changed.*Kaggle's folder alone"):
        data_sources(table, "sagittal")


def test_a_reference_on_another_grid_is_refused(tmp_path: Path) -> None:
    for name, spacing in (("flair", 1.0), ("seg", 2.0)):
        image = sitk.Image(4, 4, 4, sitk.sitkUInt8)
        image.SetSpacing((spacing,) * 3)
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    study = FileSource("one", StudyPaths(tmp_path / "flair.nii.gz"), tmp_path / "seg.nii.gz")
    with pytest.raises(InputError, match=r"does not lie on FLAIR's grid.*Resample"), study.open():
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give either --data or --external"),
        (["--data", "a", "--external", "b"], "Give either --data or --external"),
        (["--data", "a", "--fold", "1"], "Give both --folds and --fold"),
        (["--external", "/nowhere"], "No study was found"),
    ],
    ids=["no data", "two data", "no folds", "no studies"],
)
def test_unclear_requests_are_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["evaluate", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_failing_command_ends_the_evaluation_with_its_words(
    tmp_path: Path, release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data_set(tmp_path, patients=1)
    code = main(
        ["evaluate", str(tmp_path / "out"), "--data", str(tmp_path), "--release", str(release), "--model", "none"]
    )
    assert code == 1
    assert "exit code 3" in (error := capsys.readouterr().err)
    assert "There is no model named 'none'" in error
    assert not (tmp_path / "out").exists()
