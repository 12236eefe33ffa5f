"""A segmentation handed over, corrected or not: files that agree with the labelmap, all of them or none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import highdicom
import jsonschema
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, GeometryError, InputError, OutputError
from BrainTumorSegLib.engine.measurement.lesions import find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.measure import slice_scores
from BrainTumorSegLib.engine.measurement.review_order import review_order
from BrainTumorSegLib.engine.output.report import build_report, report_schema
from BrainTumorSegLib.engine.output.writing import write_segmentation
from BrainTumorSegLib.engine.service.handover import HandOver, HandOverPaths, hand_over
from BrainTumorSegLib.engine.service.requests import WorkerCommands
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from dicom_series import write_series
from head_phantom import head
from result_phantoms import ellipsoid, phantom_result

IMAGE = head((40, 44, 12), (4.4, 4.4, 11.0))


@pytest.fixture
def job(tmp_path: Path) -> HandOver:
    """A DICOM FLAIR, what the engine outlined in it, and the same with a second lesion drawn by somebody."""
    series = tmp_path / "flair"
    write_series(series, IMAGE, SeriesDescription="FLAIR")
    geometry = read_study(StudyPaths(series)).geometry
    result = phantom_result(geometry, ellipsoid(geometry, (-38.0, 20.0, 10.0), (16.0, 18.0, 14.0)))
    drawn = result.mask | ellipsoid(geometry, (30.0, -40.0, -14.0), (10.0, 14.0, 12.0))
    sitk.WriteImage(Volume(drawn, geometry).to_image(), str(tmp_path / "corrected.seg.nrrd"))
    write_segmentation(result, tmp_path / "automatic.seg.nrrd")
    outputs = HandOverPaths(
        *(tmp_path / name for name in ("tumour.dcm", "page.pdf", "lesions.csv", "slices.csv")),
    )
    report = json.loads(json.dumps(build_report(result)))
    return HandOver(series, tmp_path / "corrected.seg.nrrd", report, outputs, "Jane Doe", (series,))


def test_every_file_is_of_the_corrected_labelmap(job: HandOver) -> None:
    report = hand_over(job)
    jsonschema.validate(report, report_schema())
    drawn = Volume.of_image(sitk.ReadImage(str(job.labelmap)))
    lesions = find_lesions(drawn.array > 0, drawn.geometry)
    assert [each["volume_ml"] for each in report["lesions"]] == pytest.approx([x.volume_ml for x in lesions], abs=1e-3)
    assert len(report["lesions"]) == 2
    assert report["summary"].startswith("Tumour found: 2 lesions")
    areas = sum(each["area_mm2"] for each in report["slices"])
    assert areas == pytest.approx(float(drawn.array.sum()) * 4.4 * 4.4, rel=1e-4)
    segmentation = highdicom.seg.segread(job.outputs.by_name()["dicom_seg"])
    assert segmentation.get_volume(combine_segments=True).array.sum() == drawn.array.sum()
    assert pydicom.dcmread(job.outputs.by_name()["dicom_seg"]).ContentCreatorName == "Jane Doe^"
    assert len(job.outputs.by_name()["lesions"].read_text().splitlines()) == 3
    assert job.outputs.by_name()["page"].read_bytes().startswith(b"%PDF")


def test_slices_to_review_are_those_of_the_corrected_labelmap(job: HandOver, tmp_path: Path) -> None:
    """Measured from the same voxels by the functions of a run, with a probability that doubts the first lesion."""
    geometry = read_study(StudyPaths(job.flair)).geometry
    drawn = Volume.of_image(sitk.ReadImage(str(job.labelmap))).array > 0
    probability = np.where(drawn, 0.7, 0.1).astype(np.float32)
    sitk.WriteImage(Volume(probability, geometry).to_image(), str(tmp_path / "probability.nrrd"))
    report = hand_over(replace(job, probability=tmp_path / "probability.nrrd"))
    measures = slice_measures(drawn, probability, geometry)
    scores = [each["tumour_probability"] for each in job.report["slices"]]
    order = review_order(slice_scores(measures, scores, [True] * len(scores)))
    assert [each["index"] for each in report["review"]] == [need.index for need in order]
    assert [each["need_mm2"] for each in report["review"]] == pytest.approx([n.need_mm2 for n in order], abs=0.01)
    assert report["review"] != job.report["review"]


def test_without_a_probability_a_changed_outline_has_no_doubts(job: HandOver) -> None:
    before = job.report["slices"]
    report = hand_over(job)
    jsonschema.validate(report, report_schema())
    for one, was in zip(report["slices"], before, strict=True):
        is_same = one["area_mm2"] == was["area_mm2"]
        assert one["doubtful_area_mm2"] == (was["doubtful_area_mm2"] if is_same else 0.0)
    assert {each["index"] for each in report["review"]} == set(range(len(before)))


def test_cancel_leaves_nothing(job: HandOver) -> None:
    stages: list[str] = []
    with pytest.raises(Cancelled):
        hand_over(job, lambda stage, _fraction: stages.append(stage), lambda: stages[-1:] == ["write"])
    assert stages == ["read", "write"]
    assert written(job) == []


def test_worker_does_the_same(job: HandOver, tmp_path: Path) -> None:
    events: list[tuple[str, dict[str, object]]] = []
    request = {
        "id": "1",
        "command": "hand_over",
        **{"flair": str(job.flair), "labelmap": str(job.labelmap), "report": job.report, "corrected_by": "Jane Doe"},
        **{"series": [str(path) for path in sorted(job.flair.iterdir())], "reviewed": 3},
        **{"dicom_seg": str(tmp_path / "worker.dcm"), "page": str(tmp_path / "worker.html")},
    }
    WorkerCommands().table()["hand_over"](request, lambda event, **content: events.append((event, content)), bool)
    event, content = events[-1]
    assert event == "done"
    assert [each["stage"] for name, each in events if name == "progress"] == ["read", "write", "write"]
    assert content["files"] == {"dicom_seg": str(tmp_path / "worker.dcm"), "page": str(tmp_path / "worker.html")}
    assert "3 of 12 slices reviewed" in (tmp_path / "worker.html").read_text(encoding="utf-8")


def test_files_are_replaced_by_later_ones(job: HandOver) -> None:
    first = hand_over(job)
    assert hand_over(job) == first
    dicom = job.outputs.by_name()["dicom_seg"]
    dicom.write_bytes(next(job.flair.iterdir()).read_bytes())
    with pytest.raises(OutputError, match="no earlier output of this kind"):
        hand_over(job)


def test_untouched_segmentation_is_automatic(job: HandOver, tmp_path: Path) -> None:
    hand_over(replace(job, labelmap=tmp_path / "automatic.seg.nrrd", corrected_by=None))
    dataset = pydicom.dcmread(job.outputs.by_name()["dicom_seg"])
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"


def test_edited_segmentation_is_never_handed_over_as_automatic(job: HandOver) -> None:
    image = sitk.ReadImage(str(job.labelmap))
    image.SetMetaData("Segment0_Tags", "DICOM.SegmentAlgorithmType:SEMIAUTOMATIC|")
    sitk.WriteImage(image, str(job.labelmap))
    with pytest.raises(InputError, match="was corrected, but nobody is named who did.*Say who"):
        hand_over(replace(job, corrected_by=None))


def written(job: HandOver) -> list[str]:
    return [name for name, path in job.outputs.by_name().items() if path.exists()]


def test_labelmap_of_another_grid_is_refused_and_nothing_written(job: HandOver) -> None:
    other = head((40, 44, 12), (4.4, 4.4, 11.0), (0.0, 0.0, 0.0))
    geometry = Geometry.of_image(other)
    sitk.WriteImage(Volume(np.ones(geometry.shape_kji, bool), geometry).to_image(), str(job.labelmap))
    with pytest.raises(GeometryError, match="are not those of the images"):
        hand_over(job)
    assert written(job) == []


def test_all_files_or_none(job: HandOver, tmp_path: Path) -> None:
    job.outputs.by_name()["slices"].mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        hand_over(job)
    assert written(job) == ["slices"]


def test_dicom_without_its_series_and_a_request_for_nothing_are_refused(job: HandOver) -> None:
    with pytest.raises(InputError, match="files of FLAIR's DICOM series are not given.*leave the DICOM"):
        hand_over(replace(job, series=()))
    with pytest.raises(InputError, match="Nothing is asked for.*Name at least one file"):
        hand_over(replace(job, outputs=HandOverPaths()))


def test_report_of_another_study_is_refused(job: HandOver) -> None:
    report = {**job.report, "slices": job.report["slices"][:-1]}
    with pytest.raises(InputError, match="FLAIR has 12 slices, but the report is of 11.*report of the run"):
        hand_over(replace(job, report=report))


@pytest.mark.parametrize("missing", ["flair", "labelmap", "report"])
def test_request_that_lacks_a_field_is_refused(missing: str) -> None:
    request = {"id": "1", "command": "hand_over", "flair": "f", "labelmap": "l", "report": {}}
    del request[missing]
    with pytest.raises(InputError, match=f"hand_over request lacks the field '{missing}'"):
        WorkerCommands().table()["hand_over"](request, lambda *_a, **_k: None, bool)
