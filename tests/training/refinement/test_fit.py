"""A refiner learns from what fold models say of their held-out patients, and the program computes the same."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from brain_tumor_training.bundles.export import ExportRequest, export_run
from brain_tumor_training.calibration.run_calibration import calibration_of
from brain_tumor_training.data.cache import load_cache
from brain_tumor_training.data.kaggle import patient_folders
from brain_tumor_training.data.splits import pool_of
from brain_tumor_training.evaluation.studies import KaggleSource
from brain_tumor_training.fitting.prediction import predict
from brain_tumor_training.main import main
from brain_tumor_training.refinement.fit import REFINEMENT, RefineRequest, refine_run, study_loss
from brain_tumor_training.refinement.logits import StudyLogits
from brain_tumor_training.refinement.samples import StudyPatient, StudyStream
from brain_tumor_training.refinement.settings import RefinementSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.models.bundle import load_bundle
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.models.loading import Model
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.study.reading import read_study
from tiny_runs import SETTINGS, write_folded_data, write_recipe
from training_phantom import CPU

SLICES = {
    "network": "ResUNetPlusPlusLite0",
    "phases": [{"_target_": f"{SETTINGS}Phase", "size_px": 256, "crop_px": 64, "steps": 1}],
    "validation": None,
}
SHORT = RefinementSettings(steps=3, warmup_steps=1, batch_size=1, learning_rate=0.05, ema_decay=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folded_data(tmp_path_factory.mktemp("data"), patients=2)


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished runs fold0 and fold1 of the slices' network, and ``other``, of another network."""
    folder = tmp_path_factory.mktemp("runs")
    shared = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv"]
    other = {"network": "ResUNet", "validation": None}
    for name, recipe, fold in (("fold0", SLICES, 0), ("fold1", SLICES, 1), ("other", other, 0)):
        (folder / f"{name}-recipe").mkdir()
        path = write_recipe(folder / f"{name}-recipe", **recipe)
        options = ["--fold", fold, "--run", folder / name, "--device", "cpu"]
        assert main(["fit", str(path), *map(str, [*shared, *options])]) == 0
    return folder


def request(runs: Path, data: Path, run: Path, settings: RefinementSettings = SHORT) -> RefineRequest:
    folds = [runs / "fold0", runs / "fold1"]
    return RefineRequest(runs / "fold0", folds, data / "cache", runs / "logits", run, settings, "cpu")


@pytest.fixture(scope="module")
def refined(runs: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("refined") / "run"
    refine_run(request(runs, data, run))
    return run


def test_the_slices_network_stays_and_its_refiner_has_learned(runs: Path, refined: Path) -> None:
    run = RunFolder(refined)
    settings = run.settings()
    assert settings == replace(RunFolder(runs / "fold0").settings(), network="ResUNetPlusPlusInStudy")
    assert run.split() == RunFolder(runs / "fold0").split()
    network = build_network(settings.network, settings.arguments)
    network.load_state_dict(run.finished_weights())
    own = RunFolder(runs / "fold0").finished_weights()
    assert all(torch.equal(own[key], tensor) for key, tensor in network.slices.state_dict().items())
    assert network.refiner.output.weight.abs().max() > 0
    assert json.loads((refined / REFINEMENT).read_text())["steps"] == 3
    assert [row["step"] for row in csv.DictReader((refined / "log.csv").open())] == ["3"]


def test_an_interrupted_training_goes_on_with_the_same_studies(runs: Path, data: Path, tmp_path: Path) -> None:
    """Near, not equal: the gradients of a 3D convolution in bfloat16 differ in their last bits from run to run."""
    settings = replace(SHORT, steps=5, learning_rate=1e-3, checkpoint_every=2)
    losses: dict[str, dict[int, float]] = {"whole": {}, "resumed": {}}
    refine_run(
        request(runs, data, tmp_path / "whole", settings), lambda n, _, loss: losses["whole"].update({n: loss()})
    )

    def interrupt(done: int, _all: int, _loss: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    broken = request(runs, data, tmp_path / "broken", settings)
    with pytest.raises(KeyboardInterrupt):
        refine_run(broken, interrupt)
    assert not RunFolder(tmp_path / "broken").is_finished
    refine_run(broken, lambda n, _, loss: losses["resumed"].update({n: loss()}))
    assert list(losses["resumed"]) == [3, 4, 5]
    for step, loss in losses["resumed"].items():
        assert loss == pytest.approx(losses["whole"][step], rel=0.02)
    assert losses["whole"][3] != pytest.approx(losses["whole"][4], rel=0.02)


def test_the_program_corrects_as_training_does(data: Path, refined: Path, tmp_path: Path) -> None:
    """The pipeline with the exported bundle against the training code, on the run's held-out patient."""
    run = RunFolder(refined)
    settings = run.settings()
    network = build_network(settings.network, settings.arguments)
    archive = export_run(refined, ExportRequest("refined", "1.0.0", "t", "d", recommendation={}), tmp_path)
    bundle = load_bundle(archive)
    network.load_state_dict(bundle.network.state_dict())
    folder = next(one for one in patient_folders(data) if one.name not in run.split().training)
    name = folder.name
    patient = load_cache(data / "cache", [name], 256)[0]
    pool = pool_of([patient], {name: list(range(len(patient.mask)))})
    expected = next(iter(predict(network, pool, settings, CPU))).logits
    segmenter = Segmenter(Model(bundle, ModelProvenance("refined", "1.0.0", "0" * 64, "none")), CPU)
    with KaggleSource(folder).open() as study:
        found = segmenter.segment(read_study(study.paths)).probability
    # The cache keeps float16 images; the phantom's pixels are of the nominal size, so nothing is resampled.
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected)), atol=0.02)
    assert found.std() > 0.001


def test_a_patient_whom_no_run_held_out_is_refused(runs: Path, data: Path, tmp_path: Path) -> None:
    only = replace(request(runs, data, tmp_path / "run"), held_out_by=[runs / "fold0"])
    with pytest.raises(InputError, match=r"No run held out the patient TCGA.*Give the runs of all folds"):
        refine_run(only)


def test_another_network_can_t_be_refined(runs: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a run of ResUNet, not of ResUNetPlusPlusLite0\. Give a run of release_"):
        refine_run(replace(request(runs, data, tmp_path / "run"), slices=runs / "other"))


def test_the_command_takes_the_folds_runs_and_changes_of_its_settings(runs: Path, data: Path, tmp_path: Path) -> None:
    pattern = str(runs / "fold{fold}")
    arguments = [runs / "fold1", "--segmentation-runs", pattern, "--folds", data / "folds.csv"]
    options = ["--cache", data / "cache", "--logits", tmp_path / "logits", "--run", tmp_path / "run", "--device", "cpu"]
    assert main(["refine", *map(str, [*arguments, *options]), "--set", "steps=2", "--set", "batch_size=1"]) == 0
    assert RunFolder(tmp_path / "run").is_finished
    kept = json.loads((tmp_path / "run" / REFINEMENT).read_text())
    assert (kept["steps"], kept["batch_size"]) == (2, 1)


def test_a_cross_validation_refines_every_fold_by_the_others_and_measures_that(data: Path, tmp_path: Path) -> None:
    """The command by which the release's figures can be made again, for a step or two."""
    recipe = write_recipe(tmp_path, **SLICES)
    arguments = ["--data", data, "--cache", data / "cache", "--folds", data / "folds.csv", "--run", tmp_path / "cv"]
    options = ["--refine", "steps=2", "warmup_steps=1", "batch_size=1", "--device", "cpu"]
    assert main(["crossvalidate", str(recipe), *map(str, [*arguments, *options])]) == 0
    for fold in (0, 1):
        run = RunFolder(tmp_path / "cv" / f"fold-{fold}" / "refined")
        assert run.is_finished
        assert run.split() == RunFolder(tmp_path / "cv" / f"fold-{fold}" / "segmentation").split()
        assert json.loads((run.path / REFINEMENT).read_text())["steps"] == 2
    assert len(list((tmp_path / "cv" / "logits").glob("*.npz"))) == 2
    measured = json.loads((tmp_path / "cv" / "evaluation" / "metrics.json").read_text())
    assert measured["metrics"]["patients"] == 2
    assert measured["about"]["calibration"]["0"]["segmentation"] == calibration_of(
        tmp_path / "cv" / "fold-0" / "refined"
    )


def test_an_unknown_setting_is_refused(runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [runs / "fold1", "--segmentation-runs", str(runs / "fold{fold}"), "--folds", data / "folds.csv"]
    options = ["--cache", data / "cache", "--logits", tmp_path, "--run", tmp_path / "run", "--set", "stepz=2"]
    assert main(["refine", *map(str, [*arguments, *options])]) == 2
    assert "The 3D correction network has no setting 'stepz'. Choose one of" in capsys.readouterr().err


def _patient(slices: int = 10) -> StudyPatient:
    """A head with a block of tumour in slices 3-5, which the slices' network finds exactly."""
    mask = np.zeros((slices, 128, 128), np.float16)
    mask[3:6, 40:64, 70:90] = 1
    images = np.full((2, 3, slices, 64, 64), -1, np.float16)
    images[..., 8:56, 12:52] = 0
    fine = np.where(mask > 0, 6, -6).astype(np.float16)
    logits = StudyLogits(fine.reshape(slices, 64, 2, 64, 2).mean(axis=(2, 4)).astype(np.float16), fine)
    return StudyPatient("p", images, mask, dict.fromkeys(RefinementSettings().views, logits))


def test_logits_and_mask_are_changed_in_space_alike() -> None:
    stream = StudyStream([_patient()], RefinementSettings(), CPU.device)
    shapes = set()
    for index in range(12):
        sample = stream[index]
        found, truth = sample.logits > 0, sample.mask > 0.5
        overlap = 2 * float((found & truth).sum()) / max(1.0, float(found.sum() + truth.sum()))
        assert overlap > 0.9
        assert sample.seen.shape[1:] == (len(sample.mask), sample.mask.shape[1] // 2, sample.mask.shape[2] // 2)
        shapes.add(tuple(sample.seen.shape))
    assert len(shapes) > 1


def test_a_sample_hangs_on_seed_and_number_alone() -> None:
    first, again = (StudyStream([_patient(), _patient()], RefinementSettings(), CPU.device) for _ in range(2))
    assert torch.equal(first[5].seen, again[5].seen)
    assert not torch.equal(first[5].seen[3].mean(), first[6].seen[3].mean())
    other = StudyStream([_patient(), _patient()], RefinementSettings(seed=1), CPU.device)
    assert first[5].seen.shape != other[5].seen.shape or not torch.equal(first[5].seen, other[5].seen)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_makes_the_samples_of_the_cpu() -> None:
    here, there = (
        StudyStream([_patient()], RefinementSettings(), device) for device in (CPU.device, torch.device("cuda", 0))
    )
    for index in range(12):
        for name in ("seen", "logits", "mask"):
            found = getattr(there[index], name)
            assert found.device.type == "cuda"
            torch.testing.assert_close(found.cpu(), getattr(here[index], name), rtol=0, atol=1e-3)


def test_the_loss_is_that_of_the_whole_volume() -> None:
    mask = torch.zeros(2, 50, 50)
    mask[0, :20] = 1
    assert study_loss(20 * (2 * mask - 1), mask) == pytest.approx(0, abs=1e-3)
    # Nothing found of 1,000 blocks: soft Dice 50 / (1000 + 50), cross-entropy 20 in a fifth of them.
    expected = 1 - 50 / 1050 + 2 * 20 * 1000 / 5000
    assert float(study_loss(torch.full_like(mask, -20), mask)) == pytest.approx(expected, abs=1e-3)
