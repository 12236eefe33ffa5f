"""The released model on the sample study, through the command line and the worker as a user has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from BrainTumorSegLib.client.process import Event, WorkerProcess
from BrainTumorSegLib.engine.output import report
from command import COMMAND, child_environment, run_command
from dicom_series import write_series

OUTPUTS = ("tumour.seg.nrrd", "probability.nrrd", "report.json", "preview.png")
MINIMUM_DICE = 0.6
"""The sample is no patient: the model has only to find its tumour, not to match its edge."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def sample(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sample study, written by its command."""
    folder = tmp_path_factory.mktemp("sample")
    run = run_command(home, "sample", folder)
    assert (run.returncode, run.stderr) == (0, "")
    assert str(folder / "flair.nii.gz") in run.stdout
    return folder


def arguments(sample: Path, outputs: Path) -> list[object]:
    segmentation, probability, report_path, preview = (outputs / name for name in OUTPUTS)
    return [
        *("segment", "--device", "cpu", "--flair", sample / "flair.nii.gz"),
        *("--t1", sample / "t1.nii.gz", "--t1c", sample / "t1c.nii.gz", "--output", segmentation),
        *("--probability", probability, "--report", report_path, "--preview", preview),
    ]


@pytest.fixture(scope="module")
def run(home: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    outputs = tmp_path_factory.mktemp("outputs")
    run = run_command(home, *arguments(sample, outputs))
    run.args = outputs
    return run


@pytest.fixture(scope="module")
def outputs(run: subprocess.CompletedProcess[str]) -> Path:
    assert run.returncode == 0, run.stderr
    return Path(run.args)


def mask_of(path: Path) -> npt.NDArray[np.bool_]:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0


def dice(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_tumour_of_the_sample_is_found(outputs: Path, sample: Path) -> None:
    assert dice(mask_of(outputs / "tumour.seg.nrrd"), mask_of(sample / "reference.nii.gz")) > MINIMUM_DICE


def test_every_output_is_there_and_nothing_else(outputs: Path) -> None:
    assert sorted(path.name for path in outputs.iterdir()) == sorted(OUTPUTS)


def test_what_was_found_and_the_files_are_said_on_stdout(run: subprocess.CompletedProcess[str], outputs: Path) -> None:
    first, *files = run.stdout.splitlines()
    assert first.startswith("Tumour found: ")
    assert [Path(line.split(maxsplit=1)[1]) for line in files] == [outputs / name for name in OUTPUTS]


def test_stderr_holds_warnings_alone_in_a_pipe(run: subprocess.CompletedProcess[str]) -> None:
    assert all(line.startswith("warning: ") for line in run.stderr.splitlines())


@pytest.mark.parametrize("name", ["tumour.seg.nrrd", "probability.nrrd"])
def test_outputs_lie_on_the_grid_of_flair(name: str, outputs: Path, sample: Path) -> None:
    image, flair = sitk.ReadImage(str(outputs / name)), sitk.ReadImage(str(sample / "flair.nii.gz"))
    assert image.GetSize() == flair.GetSize()
    for ours, theirs in (
        (image.GetSpacing(), flair.GetSpacing()),
        (image.GetOrigin(), flair.GetOrigin()),
        (image.GetDirection(), flair.GetDirection()),
    ):
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_probability_and_mask_agree(outputs: Path) -> None:
    probability = sitk.GetArrayFromImage(sitk.ReadImage(str(outputs / "probability.nrrd")))
    mask = mask_of(outputs / "tumour.seg.nrrd")
    assert probability.dtype == np.float32
    assert 0.0 <= probability.min() <= probability.max() <= 1.0
    threshold = json.loads((outputs / "report.json").read_text())["settings"]["threshold"]
    assert (probability[mask] >= threshold).all()


def test_report_follows_its_schema_and_adds_up(outputs: Path) -> None:
    content = json.loads((outputs / "report.json").read_text())
    schema = report.report_schema()
    jsonschema.validate(content, schema)
    image = sitk.ReadImage(str(outputs / "tumour.seg.nrrd"))
    volume_ml = mask_of(outputs / "tumour.seg.nrrd").sum() * np.prod(image.GetSpacing()) / 1000
    assert sum(lesion["volume_ml"] for lesion in content["lesions"]) == pytest.approx(volume_ml, rel=1e-3)


def test_preview_is_a_picture(outputs: Path) -> None:
    with Image.open(outputs / "preview.png") as picture:
        picture.load()
        assert min(picture.size) > 200
        assert len(set(picture.convert("L").tobytes())) > 20


def test_same_study_gives_the_same_bytes(home: Path, sample: Path, outputs: Path, tmp_path: Path) -> None:
    assert run_command(home, *arguments(sample, tmp_path)).returncode == 0
    for name in ("tumour.seg.nrrd", "probability.nrrd", "preview.png"):
        assert (tmp_path / name).read_bytes() == (outputs / name).read_bytes(), name


def test_no_tumour_is_said_in_words_with_an_empty_segmentation(home: Path, sample: Path, tmp_path: Path) -> None:
    run = run_command(home, *arguments(sample, tmp_path), "--min-volume", 999)
    assert run.returncode == 0
    assert run.stdout.startswith("No tumour found")
    assert not mask_of(tmp_path / "tumour.seg.nrrd").any()


def test_unknown_model_ends_with_exit_code_3_and_writes_nothing(home: Path, sample: Path, tmp_path: Path) -> None:
    run = run_command(home, *arguments(sample, tmp_path), "--model", "no-such-model")
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr.count("\n") == 1
    assert "no-such-model" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_device_that_is_not_there_ends_with_exit_code_2(home: Path, sample: Path, tmp_path: Path) -> None:
    run = run_command(home, *arguments(sample, tmp_path), "--device", "cuda:99")
    assert run.returncode == 2
    assert "cuda:99" in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal and POSIX signals")
@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("stage", ["Loading the model", "Segmenting"])
def test_ctrl_c_leaves_nothing_half_written(stage: str, home: Path, sample: Path, tmp_path: Path) -> None:
    import pty
    import termios

    ours, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments(sample, tmp_path))],
        env=child_environment(home),
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = ""
    while stage not in shown:
        shown += os.read(ours, 4096).decode(errors="replace")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, out) == (5, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def worker(home: Path) -> Iterator[WorkerProcess]:
    process = WorkerProcess([*COMMAND, "worker"], child_environment(home))
    process.start()
    yield process
    process.kill()


def request(sample: Path, outputs: Path) -> dict[str, object]:
    return {
        "command": "segment",
        "device": "cpu",
        "flair": str(sample / "flair.nii.gz"),
        "t1": str(sample / "t1.nii.gz"),
        "t1c": str(sample / "t1c.nii.gz"),
        "output": str(outputs / "tumour.seg.nrrd"),
    }


def events_of(worker: WorkerProcess, identifier: str) -> Iterator[Event]:
    """The request's events as they come, up to its last one."""
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        for event in worker.poll():
            if event.id == identifier:
                yield event
                if event.is_final:
                    return
        time.sleep(0.01)
    raise AssertionError("the worker never finished")


def test_worker_gives_what_the_command_line_gives(
    worker: WorkerProcess, sample: Path, outputs: Path, tmp_path: Path
) -> None:
    *progress, last = events_of(worker, worker.submit(request(sample, tmp_path)))
    assert last.name == "done", last.content
    fractions = [event.content["fraction"] for event in progress]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert last.content["files"]["segmentation"] == str(tmp_path / "tumour.seg.nrrd")
    assert last.content["report"]["lesions"]
    assert (tmp_path / "tumour.seg.nrrd").read_bytes() == (outputs / "tumour.seg.nrrd").read_bytes()


def test_worker_stays_warm(worker: WorkerProcess, sample: Path, tmp_path: Path) -> None:
    loading_s = []
    for _ in range(2):
        *_, last = events_of(worker, worker.submit(request(sample, tmp_path)))
        assert last.name == "done", last.content
        loading_s.append(last.content["report"]["timings_s"]["load"])
    assert loading_s[1] < 0.1


@pytest.mark.parametrize("stage", ["load", "classify"])
def test_worker_cancels_a_running_job_and_writes_nothing(
    stage: str, worker: WorkerProcess, sample: Path, tmp_path: Path
) -> None:
    identifier = worker.submit(request(sample, tmp_path))
    last = None
    for event in events_of(worker, identifier):
        if event.name == "progress" and event.content["stage"] == stage:
            worker.cancel(identifier)
        last = event
    assert last is not None
    assert last.content.get("kind") == "cancelled"
    assert list(tmp_path.iterdir()) == []


def test_dicom_study_is_handed_on_as_dicom_page_and_tables(home: Path, sample: Path, tmp_path: Path) -> None:
    image = sitk.Cast(sitk.ReadImage(str(sample / "flair.nii.gz")), sitk.sitkInt16)
    write_series(tmp_path / "flair", image, SeriesDescription="AX FLAIR")
    files = {name: tmp_path / f"out.{ending}" for name, ending in (("dicom-seg", "dcm"), ("page", "pdf"))}
    files |= {name: tmp_path / f"{name}.csv" for name in ("lesions", "slices")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    output = tmp_path / "t.seg.nrrd"
    run = run_command(home, "segment", "--device", "cpu", "--flair", tmp_path / "flair", "--output", output, *options)
    assert run.returncode == 0, run.stderr
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(output))) > 0
    assert mask.any()
    frames = pydicom.dcmread(files["dicom-seg"])
    assert int(frames.pixel_array.sum()) == int(mask.sum())
    assert frames.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert files["page"].read_bytes().startswith(b"%PDF")
    assert len(files["slices"].read_text(encoding="utf-8").splitlines()) == 1 + image.GetSize()[2]
