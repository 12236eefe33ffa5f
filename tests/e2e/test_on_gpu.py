"""The released model on a CUDA GPU: as on the processor, the same each time, and to the end where memory is short."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from BrainTumorSegLib.client.process import Event, WorkerProcess
from BrainTumorSegLib.engine.errors import Cancelled
from BrainTumorSegLib.engine.inference.device import Compute, choose
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.loading import Model, load_model
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.sample.study import write_sample
from BrainTumorSegLib.engine.settings import SegmentSettings
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study
from command import COMMAND, child_environment, run_command

pytestmark = pytest.mark.gpu

MINIMUM_DICE = 0.998
LARGEST_DIFFERENCE, MEAN_DIFFERENCE = 0.1, 1e-4
"""Of probabilities, from float32 on the processor. In bfloat16 there the sample's differ by 0.055 and 0.00002."""
WAYS = [
    pytest.param(SegmentSettings(), id="gate and mirrored view"),
    pytest.param(SegmentSettings(gate=0.0), id="no gate"),
    pytest.param(SegmentSettings(tta=False), id="no mirrored view"),
]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def study(sample: Path) -> Study:
    return read_study(StudyPaths(*(sample / f"{name}.nii.gz" for name in ("flair", "t1", "t1c"))))


@pytest.fixture(scope="module")
def model() -> Model:
    model = load_model(ModelStore.default())
    assert model.segmentation.refiner is not None
    assert model.classifier is not None
    return model


@pytest.fixture(scope="module")
def segmenter(model: Model) -> Segmenter:
    return Segmenter(model, choose("cuda"))


@pytest.fixture(scope="module")
def in_float32(model: Model, study: Study) -> Callable[[SegmentSettings], Result]:
    """What the processor finds in the sample."""
    segmenter = Segmenter(model, Compute(torch.device("cpu"), torch.float32, "CPU"))
    return lambda settings: segmenter.segment(study, settings)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def assert_alike(found: Result, expected: Result) -> None:
    assert dice(found.mask, expected.mask) >= MINIMUM_DICE
    difference = np.abs(found.probability - expected.probability)
    assert difference.max() <= LARGEST_DIFFERENCE
    assert difference.mean() <= MEAN_DIFFERENCE
    scores = ([scored.tumour_probability for scored in result.slices] for result in (found, expected))
    np.testing.assert_allclose(*scores, atol=LARGEST_DIFFERENCE)


@pytest.mark.parametrize("settings", WAYS)
def test_a_gpu_finds_what_the_processor_finds(
    settings: SegmentSettings,
    segmenter: Segmenter,
    study: Study,
    in_float32: Callable[[SegmentSettings], Result],
) -> None:
    found = segmenter.segment(study, settings)
    assert found.device == "cuda:0"
    assert_alike(found, in_float32(settings))
    assert "emory" not in " ".join(found.warnings)


@pytest.mark.parametrize("settings", WAYS)
def test_the_same_study_gives_the_same_bits_again_and_in_a_new_segmenter(
    settings: SegmentSettings, segmenter: Segmenter, model: Model, study: Study
) -> None:
    first, again = segmenter.segment(study, settings), segmenter.segment(study, settings)
    other = Segmenter(model, choose("cuda")).segment(study, settings)
    assert first.probability.tobytes() == again.probability.tobytes() == other.probability.tobytes()
    assert first.slices == again.slices == other.slices


@pytest.mark.parametrize("stage", ["preprocess", "classify", "segment"])
def test_cancelling_at_any_stage_stops_and_the_next_run_is_whole(
    stage: str, segmenter: Segmenter, study: Study
) -> None:
    whole = segmenter.segment(study)
    reached: list[str] = []
    with pytest.raises(Cancelled):
        segmenter.segment(
            study, on_progress=lambda name, _: reached.append(name), is_cancelled=lambda: stage in reached
        )
    assert segmenter.segment(study).probability.tobytes() == whole.probability.tobytes()


@pytest.fixture
def leave_bytes() -> Iterator[Callable[[int], None]]:
    """Leaves this process so many bytes of the GPU's memory beyond those that it has, until the test ends.

    With 0 it also takes what is free between tensors: else a small network would still find room.
    """
    total = torch.cuda.get_device_properties(0).total_memory
    taken: list[torch.Tensor] = []

    def leave(more: int) -> None:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved(0) + more) / total), 0)
        size = 2**30 if more == 0 else 0
        while size >= 512:
            try:
                taken.append(torch.empty(size, dtype=torch.uint8, device="cuda:0"))
            except torch.cuda.OutOfMemoryError:
                size //= 2

    yield leave
    taken.clear()
    torch.cuda.set_per_process_memory_fraction(1.0, 0)


def test_short_of_memory_fewer_slices_are_computed_at_once_and_it_is_said(
    leave_bytes: Callable[[int], None],
    model: Model,
    study: Study,
    in_float32: Callable[[SegmentSettings], Result],
) -> None:
    segmenter = Segmenter(model, choose("cuda"))
    before = torch.cuda.memory_allocated(0)
    torch.cuda.reset_peak_memory_stats(0)
    segmenter.segment(study)
    taken = torch.cuda.max_memory_allocated(0) - before
    leave_bytes(int(0.6 * taken))
    found = segmenter.segment(study)
    assert found.device == "cuda:0"
    assert "Memory ran out; slices are segmented" in " ".join(found.warnings)
    assert_alike(found, in_float32(SegmentSettings()))
    assert segmenter.segment(study).warnings == found.warnings


@pytest.mark.parametrize("ready", [True, False], ids=["networks on the GPU", "nothing on the GPU"])
def test_without_memory_the_processor_computes_all_of_it_and_it_is_said(
    ready: bool, leave_bytes: Callable[[int], None], model: Model, study: Study
) -> None:
    compute = choose("cuda")
    segmenter = Segmenter(model, compute) if ready else None
    leave_bytes(0)
    segmenter = segmenter or Segmenter(model, compute)
    for found in (segmenter.segment(study), segmenter.segment(study)):
        assert found.device == "cpu"
        assert [warning for warning in found.warnings if "emory" in warning] == [
            "The memory of cuda:0 did not suffice to segment a slice; the CPU was used instead.",
            "The memory of cuda:0 did not suffice to correct the outline by the whole study; the CPU was used instead.",
            "The memory of cuda:0 did not suffice to classify a slice; the CPU was used instead.",
        ]
        expected = Segmenter(model, choose("cpu")).segment(study)
        assert found.probability.tobytes() == expected.probability.tobytes()


def test_no_memory_of_the_gpu_is_kept_once_the_processor_computes(
    leave_bytes: Callable[[int], None], model: Model, study: Study
) -> None:
    compute = choose("cuda")
    before = torch.cuda.memory_allocated(0)
    segmenter = Segmenter(model, compute)
    networks = torch.cuda.memory_allocated(0) - before
    leave_bytes(0)
    full = torch.cuda.memory_allocated(0)
    segmenter.segment(study)
    assert full - torch.cuda.memory_allocated(0) == networks > 0


def request(sample: Path, output: Path) -> dict[str, str]:
    return {
        **{name: str(sample / f"{name}.nii.gz") for name in ("flair", "t1", "t1c")},
        "output": str(output),
        "device": "cuda",
    }


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    process = WorkerProcess([*COMMAND, "worker"], child_environment(tmp_path / "home"))
    process.start()
    yield process
    process.kill()


def last_event(worker: WorkerProcess, identifier: str) -> Event:
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        for event in worker.poll():
            if event.id == identifier and event.is_final:
                return event
        time.sleep(0.01)
    raise AssertionError("the worker never finished")


def test_command_and_worker_give_the_same_file_on_the_gpu(sample: Path, worker: WorkerProcess, tmp_path: Path) -> None:
    by_command = request(sample, tmp_path / "command.seg.nrrd")
    options = [part for name, value in by_command.items() for part in (f"--{name}", value)]
    run = run_command(tmp_path / "home", "segment", *options, "--report", tmp_path / "report.json")
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "report.json").read_text())["device"] == "cuda:0"
    assert (sitk.GetArrayFromImage(sitk.ReadImage(by_command["output"])) > 0).any()
    for name in ("first", "second"):
        output = tmp_path / f"{name}.seg.nrrd"
        last = last_event(worker, worker.submit({"command": "segment", **request(sample, output)}))
        assert last.name == "done", last.content
        assert last.content["report"]["device"] == "cuda:0"
        assert output.read_bytes() == Path(by_command["output"]).read_bytes()
