import csv
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from brain_tumor_training.bundles.bundle import export_bundle
from brain_tumor_training.bundles.description import BundleDescription
from brain_tumor_training.bundles.index import write_index
from brain_tumor_training.data.kaggle import read_patient
from brain_tumor_training.evaluation import plan as evaluation_plan
from brain_tumor_training.evaluation.kept_outcomes import OutcomeFolder
from brain_tumor_training.evaluation.outcome import PatientOutcome, outcome_of
from brain_tumor_training.evaluation.plan import Condition, Measurement
from brain_tumor_training.evaluation.studies import FileSource, KaggleSource, data_sources
from brain_tumor_training.evaluation.summary import summarise
from brain_tumor_training.main import main
from brain_tumor_training.metrics.overlap import count_slices
from brain_tumor_training.metrics.surface import SurfaceDistances
from brain_tumor_training.program.command import SegmentCommand
from brain_tumor_training.program.outputs import OutputFiles
from brain_tumor_training.program.worker import segment_worker
from BrainTumorSegLib.cli.main import build_parser
from BrainTumorSegLib.cli.segment import _job
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.models.bundle import Recommendation
from BrainTumorSegLib.engine.service.requests import parse_job
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.reading import StudyPaths
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
    assert content["metrics"]["maximum_probability"]["roc_auc"]["value"] == 1.0
    assert content["metrics"]["slice_classifier"]["at_gate"] is None
    assert content["reliability"]["voxels"]["expected_calibration_error"] < 0.01
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
        (["--data", "a", "--segmentation-runs", "r-{fold}"], "Give --data and --folds"),
        (["--data", "a", "--classifier-runs", "r-{fold}"], "Give --segmentation-runs too"),
        (["--data", "a", "--segmentation-runs", "r-{fold}", "--release", "b"], "not both"),
    ],
    ids=["no data", "two data", "no folds", "no studies", "runs without folds", "classifier alone", "two models"],
)
def test_unclear_requests_are_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["evaluate", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [([], "`braintumorseg worker` answered with an error (model)"), (["--cold"], "ended with exit code 3")],
    ids=["warm", "cold"],
)
def test_a_failing_program_ends_the_evaluation_with_its_words(
    options: list[str], words: str, tmp_path: Path, release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data_set(tmp_path, patients=1)
    arguments = ["--data", str(tmp_path), "--release", str(release), "--model", "none", *options]
    assert main(["evaluate", str(tmp_path / "out"), *arguments]) == 1
    assert words in (error := capsys.readouterr().err)
    assert "There is no model named 'none'" in error
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_a_release_folder_without_an_index_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data_set(tmp_path, patients=1)
    (tmp_path / "empty").mkdir()
    arguments = ["--data", str(tmp_path), "--release", str(tmp_path / "empty")]
    assert main(["evaluate", str(tmp_path / "out"), *arguments]) == 2
    assert "has no index.json. Export a model into it first" in capsys.readouterr().err


def test_the_warm_worker_gives_the_very_masks_of_the_command(tmp_path: Path, release: Path) -> None:
    options = RunSettings(gate=0.0, threshold=0.4, device="cpu", tta=False)
    with segment_worker(release) as worker:
        for name in write_data_set(tmp_path, patients=1):
            with KaggleSource(tmp_path / "kaggle_3m" / name).open() as study:
                warm, cold = (one.run(study.paths, options) for one in (worker, SegmentCommand(release)))
            np.testing.assert_array_equal(warm.mask, cold.mask)
            np.testing.assert_array_equal(warm.probability, cold.probability)
            assert warm.mask.any()
            assert warm.report["settings"] == cold.report["settings"]
            assert warm.report["slices"] == cold.report["slices"]


@pytest.mark.parametrize(
    "options",
    [RunSettings(), RunSettings(0.3, 0.0, 0.5, False, "m", "cpu", "on"), RunSettings(gate=0.2)],
    ids=["none", "all", "gate"],
)
def test_command_line_and_worker_are_asked_for_the_same_job(options: RunSettings, tmp_path: Path) -> None:
    files = OutputFiles(tmp_path).named_with(StudyPaths(tmp_path / "f.nii.gz", None, tmp_path / "c.nii.gz"))
    command = [part for name, path in files.items() for part in (f"--{name}", path)]
    parsed = build_parser().parse_args(["segment", *command, *options.arguments()])
    assert _job(parsed) == parse_job({"command": "segment", **files, **options.request()})


def _outcome(name: str, found: int, gate: float, scores: list[float]) -> PatientOutcome:
    """Two slices of 100 voxels, 50 of tumour in the first, of which so many were found."""
    reference = np.zeros((2, 10, 10), bool)
    reference[0, :5] = True
    predicted = np.arange(200).reshape(2, 10, 10) < found
    report = {"settings": {"gate": gate}}
    maximum = np.array([0.9, 0.1])
    return PatientOutcome(
        name, count_slices(predicted, reference), np.array(scores), maximum, 1.0, None, report, 1.0, slices_segmented=1
    )


def test_what_the_gate_costs_and_the_baseline_come_from_the_same_patients() -> None:
    gated = [_outcome("a", 50, 0.3, [0.9, 0.1]), _outcome("b", 0, 0.6, [0.5, 0.55])]
    ungated = [_outcome("a", 50, 0, [0.9, 0.1]), _outcome("b", 25, 0, [0.5, 0.55])]
    found = summarise(gated, 0, ungated)
    assert found["gate_cost"]["mean_volumetric_dice_lost"].value == pytest.approx((0 + 2 / 3) / 2)
    assert found["gate_cost"]["most_volumetric_dice_lost"] == pytest.approx(2 / 3)
    assert found["gate_cost"]["slices_left_out"] == pytest.approx(0.5)
    assert found["maximum_probability"]["roc_auc"].value == 1
    assert found["slice_classifier"]["roc_auc"].value == pytest.approx(0.75)
    assert found["maximum_probability"]["classifier_roc_auc_minus_this"].value == pytest.approx(-0.25)
    # Each patient at the own model's gate: the one tumour slice of b is below 0.6.
    assert found["slice_classifier"]["at_gate"]["confusion"]["false_negatives"] == 1
    assert found["slice_classifier"]["at_gate"]["specificity"].value == 1


def test_an_interrupted_evaluation_goes_on_only_with_what_the_same_models_and_options_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_data_set(tmp_path, patients=3)
    sources = {0: [KaggleSource(tmp_path / "kaggle_3m" / name) for name in names]}
    measured: list[str] = []

    def fake(
        some: list[KaggleSource],
        _segmenter: object,
        _options: RunSettings,
        on_outcome: Callable[[PatientOutcome], None],
    ) -> list[PatientOutcome]:
        outcomes = [_outcome(one.name, 40, 0.0, [0.9, 0.2]) for one in some[:2]]
        measured.extend(one.name for one in outcomes)
        for outcome in outcomes:
            on_outcome(outcome)
        return outcomes

    monkeypatch.setattr(evaluation_plan, "evaluate", fake)
    first = Measurement(tmp_path / "work", cold=True)
    condition = Condition("x", sources, RunSettings())
    first.run([condition], {0: None})
    again = replace(first, resume=True)
    outcomes = again.run([condition], {0: None})["x"]
    assert measured == names
    assert [one.name for one in outcomes] == names
    assert outcomes[0].volumetric_dice == pytest.approx(2 * 40 / 90)
    again.run([replace(condition, options=RunSettings(threshold=0.3))], {0: None})
    first.run([condition], {0: None})
    assert measured == [*names, *names[:2], *names[:2]]


def test_an_outcome_survives_its_file(tmp_path: Path, release: Path) -> None:
    study_folder = write_patient(tmp_path, "TCGA_CS_0001_20000101")
    with KaggleSource(study_folder).open() as study:
        outcome = outcome_of(study, SegmentCommand(release).run(study.paths, RunSettings(gate=0.0)))
    outcome = replace(outcome, surface=SurfaceDistances(float("inf"), 0.0))
    OutcomeFolder(tmp_path / "kept", {"a": (1, 2)}).save(outcome)
    again = OutcomeFolder(tmp_path / "kept", {"a": [1, 2]}).load(outcome.name)
    assert again is not None
    np.testing.assert_equal(asdict(again), asdict(outcome))
    assert OutcomeFolder(tmp_path / "kept", {"a": [1, 3]}).load(outcome.name) is None
