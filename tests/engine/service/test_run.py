"""What is refused before a run, within milliseconds; a model that loads while the files are read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, InputError, OutputError
from BrainTumorSegLib.engine.foreign_errors import translate
from BrainTumorSegLib.engine.memory import needed_bytes
from BrainTumorSegLib.engine.models.index import parse_index
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.output.writing import OutputPaths
from BrainTumorSegLib.engine.sample.study import SamplePaths
from BrainTumorSegLib.engine.service.run import SegmenterCache, SegmentJob, run_job, written_files
from BrainTumorSegLib.engine.study.reading import StudyPaths
from model_server import make_content, make_entry


@pytest.fixture
def flair(tmp_path: Path) -> Path:
    path = tmp_path / "flair.nrrd"
    path.write_bytes(b"anything")
    return path


def test_good_job_passes_and_leaves_the_folder_as_it_was(flair: Path) -> None:
    outputs = OutputPaths(flair.with_name("o.seg.nrrd"), flair.with_name("p.nrrd"), flair.with_name("r.json"))
    SegmentJob(StudyPaths(flair), outputs).check()
    assert list(flair.parent.iterdir()) == [flair]


def test_missing_sequence_is_named(flair: Path) -> None:
    job = SegmentJob(StudyPaths(flair, t1c=Path("absent.nii")), OutputPaths(flair.with_name("o.seg.nrrd")))
    with pytest.raises(InputError, match=r"absent\.nii does not exist\. Check the path"):
        job.check()


@pytest.mark.parametrize("name", ["flair.nrrd", "link.nrrd"])
def test_one_file_for_two_sequences_is_refused(flair: Path, name: str) -> None:
    flair.with_name("link.nrrd").symlink_to(flair)
    job = SegmentJob(StudyPaths(flair, t1c=flair.with_name(name)), OutputPaths(flair.with_name("o.seg.nrrd")))
    with pytest.raises(InputError, match=r"FLAIR and T1 with contrast are one file, .*\. Give each sequence its own"):
        job.check()


def test_segmentation_needs_the_ending_that_slicer_knows(flair: Path) -> None:
    job = SegmentJob(StudyPaths(flair), OutputPaths(flair.with_name("tumour.nrrd")))
    with pytest.raises(InputError, match=r"does not end in \.seg\.nrrd\. .*choose a name"):
        job.check()


def test_output_never_replaces_an_input(flair: Path) -> None:
    outputs = OutputPaths(flair.with_name("o.seg.nrrd"), probability=flair)
    with pytest.raises(InputError, match=r"flair\.nrrd is also an input\. Choose another name"):
        SegmentJob(StudyPaths(flair), outputs).check()
    assert flair.read_bytes() == b"anything"


def test_output_in_a_missing_folder_is_refused_before_the_work(flair: Path) -> None:
    outputs = OutputPaths(flair.parent / "missing" / "o.seg.nrrd")
    with pytest.raises(OutputError, match="does not exist.* Create the folder"):
        SegmentJob(StudyPaths(flair), outputs).check()


FOREIGN = {"a DICOM slice": bytes(128) + b"DICM", "raw data": b"\x01\x02" * 50, "a NIfTI": b"\x1f\x8b\x08\x00"}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("name", ["segmentation", "probability", "report", "preview", "dicom_seg", "page", "lesions"])
def test_a_file_of_another_kind_is_never_replaced(tmp_path: Path, name: str, content: bytes) -> None:
    flair = tmp_path / "series"
    flair.mkdir()
    target = tmp_path / {"segmentation": "IM0012.seg.nrrd", "page": "IM0012.pdf"}.get(name, "IM0012.dcm")
    target.write_bytes(content)
    outputs = replace(OutputPaths(tmp_path / "o.seg.nrrd"), **{name: target})
    with pytest.raises(OutputError, match="no earlier output of this kind.*Choose another name"):
        SegmentJob(StudyPaths(flair), outputs).check()
    assert target.read_bytes() == content


def test_an_earlier_output_may_be_replaced(flair: Path, tmp_path: Path) -> None:
    outputs = OutputPaths(*(tmp_path / name for name in ("o.seg.nrrd", "p.nrrd", "r.json", "v.png", "s.dcm")))
    uid = pydicom.uid.SegmentationStorage.encode()
    dicom = bytes(128) + b"DICM" + b"\x02\0\x02\0UI" + len(uid).to_bytes(2, "little") + uid + b"\x02\0\x03\0UI"
    contents = (b"NRRD0005", b"NRRD0004", b"{}", b"\x89PNG\r\n", dicom)
    for path, content in zip(written_files(outputs), contents, strict=True):
        path.write_bytes(content)
    (tmp_path / "series").mkdir()
    SegmentJob(StudyPaths(tmp_path / "series"), outputs).check()


def test_a_dicom_segmentation_needs_a_dicom_series(flair: Path) -> None:
    outputs = OutputPaths(flair.with_name("o.seg.nrrd"), dicom_seg=flair.with_name("o.dcm"))
    with pytest.raises(InputError, match=r"of .*flair\.nrrd: it belongs to a DICOM series.*Give the folder"):
        SegmentJob(StudyPaths(flair), outputs).check()


def test_a_missing_writer_of_dicom_segmentations_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "series").mkdir()
    outputs = OutputPaths(tmp_path / "o.seg.nrrd", dicom_seg=tmp_path / "o.dcm")
    with pytest.raises(ModuleNotFoundError) as caught:
        SegmentJob(StudyPaths(tmp_path / "series"), outputs).check()
    assert translate(caught.value).message == "The Python package highdicom is missing."


def test_outputs_with_one_name_are_told_before_the_work(flair: Path, tmp_path: Path) -> None:
    outputs = OutputPaths(tmp_path / "o.seg.nrrd", probability=tmp_path / "r.json", report=tmp_path / "." / "r.json")
    with pytest.raises(OutputError, match="Two outputs have the same path.*its own file name"):
        SegmentJob(StudyPaths(flair), outputs).check()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes in folders")
def test_a_pipe_is_no_input(flair: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t1.nii")
    with pytest.raises(InputError, match=r"T1: .*t1\.nii is neither a file nor a folder"):
        SegmentJob(StudyPaths(flair, tmp_path / "t1.nii"), OutputPaths(tmp_path / "o.seg.nrrd")).check()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes in folders")
def test_a_pipe_is_no_output(flair: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.json")
    outputs = OutputPaths(tmp_path / "o.seg.nrrd", report=tmp_path / "r.json")
    with pytest.raises(OutputError, match="a device or a pipe, no file"):
        SegmentJob(StudyPaths(flair), outputs).check()
    assert (tmp_path / "r.json").is_fifo()


def _job(folder: Path, flair: Path) -> SegmentJob:
    return SegmentJob(StudyPaths(flair), OutputPaths(folder / "o.seg.nrrd"))


class _SlowStore:
    """Opens a store at once for the run itself, and for the thread that loads only when ``go_on`` is set."""

    def __init__(self, home: Path) -> None:
        content = make_content(3_000)
        self.store = ModelStore(
            parse_index({"schema": 1, "models": [make_entry("flair", content, default=True)]}), home
        )
        self.store.cache_folder.mkdir(parents=True)
        (self.store.cache_folder / "flair-1.0.0.zip").write_bytes(content)
        self.go_on = threading.Event()

    def __call__(self) -> ModelStore:
        if threading.current_thread() is not threading.main_thread():
            assert self.go_on.wait(60)
        return self.store


@pytest.fixture
def slow_store(tmp_path: Path) -> Iterator[_SlowStore]:
    store = _SlowStore(tmp_path / "home")
    yield store
    store.go_on.set()


def test_a_wish_to_stop_is_heard_while_the_model_loads(
    slow_store: _SlowStore, sample_study: SamplePaths, tmp_path: Path
) -> None:
    stages: list[str] = []
    with pytest.raises(Cancelled):
        run_job(
            _job(tmp_path, sample_study.flair),
            SegmenterCache(slow_store),
            lambda stage, _fraction: stages.append(stage),
            lambda: "load" in stages,
        )
    assert stages == ["read", "load"]
    assert not slow_store.go_on.is_set()


def test_the_memory_that_a_study_needs_is_told_before_the_work(
    slow_store: _SlowStore, sample_study: SamplePaths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stages: list[str] = []
    with caplog.at_level("INFO"), pytest.raises(Cancelled):
        run_job(
            _job(tmp_path, sample_study.flair),
            SegmenterCache(slow_store),
            lambda stage, _fraction: stages.append(stage),
            lambda: "load" in stages,
        )
    needed = needed_bytes(sitk.ReadImage(str(sample_study.flair)).GetSize(), 1)
    assert f"needs up to {needed / 1e9:.1f} GB of memory" in caplog.messages


def test_a_file_that_can_not_be_read_is_told_without_waiting_for_the_model(slow_store: _SlowStore, flair: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        run_job(_job(flair.parent, flair), SegmenterCache(slow_store), lambda *_: None, lambda: False)
    assert not slow_store.go_on.is_set()


def test_a_model_that_is_there_is_given_even_where_no_thread_can_start(
    slow_store: _SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory a new thread dies before it says that it has begun, and Python waits for that for ever."""
    slow_store.go_on.set()
    monkeypatch.setattr("BrainTumorSegLib.engine.inference.segmenter.load_segmenter", lambda *_: object())
    cache = SegmenterCache(slow_store)
    loaded = cache.get("flair", "cpu")

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert cache.start("flair", "cpu").result(timeout=0) is loaded
    with pytest.raises(RuntimeError, match="can't start new thread"):
        cache.start("flair", "cuda")
