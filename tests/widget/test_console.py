"""The logic without the panel, as the Python console uses it."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from BrainTumorSegLib.engine.errors import Cancelled, InputError, MemoryExhaustedError
from BrainTumorSegLib.jobs.activity import State

pytestmark = pytest.mark.usefixtures("kept_engine")


@pytest.fixture
def logic(shell: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(
        module, "engineCommand", lambda *_: [sys.executable, str(Path(__file__).with_name("slow_engine.py"))]
    )
    monkeypatch.setenv("SLOW_ENGINE", '{"stage_s": 0}')
    logic = module.BrainTumorSegLogic()
    yield logic
    logic.shutdown()


def write_image(path: Path, brightest: float = 1000) -> None:
    rng = np.random.default_rng(7)
    voxels = rng.uniform(0, 300, (12, 32, 32)).astype(np.float32)
    voxels[5:8, 10:20, 10:20] = brightest
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((4, 4, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def test_segment_waits_and_returns_the_segmentation(logic: Any, study: dict[str, Any]) -> None:
    node = logic.segment(study["FLAIR"], study["T1"], threshold=0.4)
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    assert logic.lastJob.report["volume_ml"] > 0


def test_segment_into_a_given_node(logic: Any, study: dict[str, Any], scene: Any) -> None:
    target = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    assert logic.segment(study["FLAIR"], segmentationNode=target) is target


def test_segment_raises_what_went_wrong(logic: Any, study: dict[str, Any], engine: Any) -> None:
    engine(fail_at="segment", stage_s=0)
    with pytest.raises(MemoryExhaustedError, match=r"There is not enough memory for this study\. Close other programs"):
        logic.segment(study["FLAIR"])


def test_segment_without_flair_raises_in_words(logic: Any) -> None:
    with pytest.raises(InputError, match=r"No FLAIR volume is chosen\. Choose"):
        logic.segment(None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"threshold": 1.5}, "threshold is 1.5"), ({"gate": 2.0}, "gate is 2.0"), ({"min_volume_ml": -1}, "-1 mL")],
    ids=["threshold", "gate", "volume"],
)
def test_a_setting_out_of_range_is_refused(
    logic: Any, study: dict[str, Any], setting: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        logic.startSegmentation(study["FLAIR"], **setting)


def test_start_returns_at_once_and_cancel_ends_it(logic: Any, study: dict[str, Any], engine: Any) -> None:
    engine(stage_s=5)
    job = logic.startSegmentation(study["FLAIR"])
    assert job.state is State.RUNNING
    job.cancel()
    logic.waitFor(job)
    assert job.state is State.CANCELLED
    with pytest.raises(Cancelled):
        job.raiseIfFailed()


def test_an_outline_is_refined_and_a_slice_explained(logic: Any, study: dict[str, Any]) -> None:
    node = logic.segment(study["FLAIR"])
    with pytest.raises(InputError, match=r"Nothing was corrected since the last outline\. Paint"):
        logic.refine(node)
    segmentId = node.GetSegmentation().GetNthSegmentID(0)
    tumour = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, study["FLAIR"])
    before = tumour.sum()
    tumour[2, 3:5, 3:5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(tumour, node, segmentId, study["FLAIR"])
    changed_ml = logic.refine(node)
    refined = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, study["FLAIR"])
    assert refined[2, 3:5, 3:5].all()
    assert changed_ml == pytest.approx(np.sum(refined != tumour) * 1.5 * 1.5 * 3.0 / 1000)
    assert before + 4 == tumour.sum()
    lookedAt = logic.explain(node, 9)
    assert lookedAt.shape == tumour.shape
    assert lookedAt.dtype == np.float32
    assert lookedAt[9].max() == 1.0
    assert not np.delete(lookedAt, 9, axis=0).any()


def test_what_is_no_result_is_neither_refined_nor_explained(logic: Any, scene: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    with pytest.raises(InputError, match="can't be refined: it is no result"):
        logic.refine(node)
    with pytest.raises(InputError, match="is no result of this module"):
        logic.explain(node, 3)


def test_a_second_start_while_one_runs_is_refused(logic: Any, study: dict[str, Any]) -> None:
    logic.startSegmentation(study["FLAIR"])
    with pytest.raises(InputError, match=r"running already\. Wait"):
        logic.startSegmentation(study["FLAIR"])


def test_the_second_study_finds_the_engine_warm(logic: Any, study: dict[str, Any]) -> None:
    logic.segment(study["FLAIR"])
    pid = logic.session.process.pid
    logic.segment(study["FLAIR"])
    assert logic.session.process.pid == pid


def test_a_folder_gives_one_row_a_study_also_where_one_fails(logic: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "anna" / "flair.nii.gz")
    write_image(tmp_path / "in" / "anna" / "t1_post.nii.gz")
    write_image(tmp_path / "in" / "bert" / "T1.nii.gz")
    (tmp_path / "in" / "carl").mkdir()
    (tmp_path / "in" / "carl" / "FLAIR.nrrd").write_text("no image")
    rows = logic.segmentFolder(tmp_path / "in", tmp_path / "out")
    assert [(row["study"], row["status"]) for row in rows] == [("anna", "done"), ("bert", "failed"), ("carl", "failed")]
    assert "No file is called FLAIR" in rows[1]["message"]
    assert float(rows[0]["volume_ml"]) == pytest.approx(3 * 10 * 10 * 4 * 4 * 8 / 1000)
    with (tmp_path / "out" / "summary.csv").open() as stream:
        assert list(csv.DictReader(stream)) == rows
    assert (tmp_path / "out" / "anna" / "report.json").is_file()


def test_a_resumed_folder_does_only_what_is_missing(logic: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "anna" / "flair.nii.gz")
    logic.segmentFolder(tmp_path / "in", tmp_path / "out")
    done = tmp_path / "out" / "anna" / "segmentation.seg.nrrd"
    time_ns = done.stat().st_mtime_ns
    write_image(tmp_path / "in" / "bert" / "flair.nii.gz")
    rows = logic.segmentFolder(tmp_path / "in", tmp_path / "out", resume=True)
    assert [row["status"] for row in rows] == ["done", "done"]
    assert done.stat().st_mtime_ns == time_ns
    logic.segmentFolder(tmp_path / "in", tmp_path / "out", resume=False)
    assert done.stat().st_mtime_ns > time_ns


def test_a_folder_goes_on_after_the_engine_died(logic: Any, tmp_path: Path, engine: Any) -> None:
    for name in ("anna", "bert"):
        write_image(tmp_path / "in" / name / "flair.nii.gz")
    engine(die_at="segment", stage_s=0)
    rows = logic.segmentFolder(tmp_path / "in", tmp_path / "out")
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert "exit code 9" in rows[1]["message"]


def test_a_folder_without_studies_is_refused(logic: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no study\. Put one subfolder"):
        logic.segmentFolder(tmp_path, tmp_path / "out")


def test_a_refusal_is_told_though_its_process_has_ended_before_anybody_looks(logic: Any, tmp_path: Path) -> None:
    job = logic.startFolder(tmp_path, tmp_path / "out")
    logic._timer.stop()
    while job._process.is_running:
        time.sleep(0.01)
    time.sleep(0.2)  # its words have been read too, so that they and the end come at one look
    job.poll()
    with pytest.raises(InputError, match=r"holds no study"):
        job.raiseIfFailed()


def test_a_folder_can_be_followed_and_cancelled(logic: Any, tmp_path: Path, engine: Any) -> None:
    for name in ("anna", "bert"):
        write_image(tmp_path / "in" / name / "flair.nii.gz")
    engine(stage_s=2, only="bert")
    job = logic.startFolder(tmp_path / "in", tmp_path / "out", workers=1)
    while not job.rows:
        logic.poll()
    job.cancel()
    logic.waitFor(job)
    assert job.state is State.CANCELLED
    with (tmp_path / "out" / "summary.csv").open() as stream:
        assert [row["study"] for row in csv.DictReader(stream)] == ["anna"]


def test_other_settings_in_the_folder_of_results_are_refused(logic: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "anna" / "flair.nii.gz")
    logic.segmentFolder(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InputError, match=r"threshold 0\.9 instead of by default.*resume=False"):
        logic.segmentFolder(tmp_path / "in", tmp_path / "out", threshold=0.9)
