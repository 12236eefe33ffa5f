"""The report against its schema."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.output import report as report_module
from BrainTumorSegLib.engine.output.report import build_report, report_schema
from BrainTumorSegLib.engine.settings import settings_schema
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Source
from result_phantoms import GRIDS, ellipsoid, phantom_result

OBLIQUE = GRIDS["oblique"]


def tumour_result(geometry: Geometry = OBLIQUE) -> Result:
    return phantom_result(geometry, ellipsoid(geometry, (4.0, -8.0, 25.0), (7.0, 12.0, 9.0)))


def empty_result() -> Result:
    return phantom_result(OBLIQUE, np.zeros(OBLIQUE.shape_kji, bool), classifier=False)


def validate(report: dict[str, Any]) -> None:
    # Through JSON, as a reader gets it: tuples and NumPy numbers do not survive.
    jsonschema.Draft202012Validator(report_schema()).validate(json.loads(json.dumps(report, allow_nan=False)))


def test_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(report_schema())


def test_schema_file_alone_accepts_a_report_and_names_the_settings_as_they_are_defined() -> None:
    file = Path(report_module.__file__).with_name("report_schema.json")
    schema = json.loads(file.read_text(encoding="utf-8"))
    report = json.loads(json.dumps(build_report(tumour_result())))
    jsonschema.Draft202012Validator(schema).validate(report)
    assert schema["properties"]["settings"] == settings_schema()


@pytest.mark.parametrize("name", GRIDS)
def test_report_is_valid_in_every_orientation(name: str) -> None:
    validate(build_report(tumour_result(GRIDS[name])))


def test_report_without_tumour_is_valid_and_says_so() -> None:
    report = build_report(empty_result())
    validate(report)
    assert report["summary"].startswith("No tumour found")
    assert (report["lesions"], report["volume_ml"]) == ([], 0)
    assert report["models"]["classifier"] is None


def test_report_holds_what_a_result_can_be_traced_by() -> None:
    result = tumour_result()
    report = build_report(result)
    assert report["inputs"] == {
        "flair": {"path": str(Path("/data/flair.nii.gz")), "series_uid": "1.2.840.1"},
        "t1": {"path": str(Path("/data/t1.nii.gz")), "series_uid": None},
        "t1c": None,
    }
    assert report["models"]["segmentation"]["sha256"] == "ab" * 32
    assert report["models"]["classifier"]["name"] == "lgg-slices"
    assert report["settings"] == {"threshold": 0.5, "gate": 0.1, "min_volume_ml": 0.05, "tta": False}
    assert report["timings_s"] == {"read": 0.1235, "segment": 1.5}
    assert report["warnings"] == ["T1c is missing."]
    assert report["remedies"] == []
    assert set(report["software"]["packages"]) == {"torch", "monai", "numpy", "scipy", "SimpleITK"}
    assert "Not a medical device" in report["disclaimer"]


def test_report_repeats_the_measures_of_the_result() -> None:
    result = tumour_result()
    report = build_report(result)
    (lesion,) = report["lesions"]
    assert report["volume_ml"] == pytest.approx(result.volume_ml, abs=5e-4)
    assert lesion["volume_ml"] == report["volume_ml"]
    assert lesion["slices"] == list(result.lesions[0].slices)
    assert [row["index"] for row in report["slices"]] == list(range(len(result.slices)))
    assert report["slices"][9]["area_mm2"] == pytest.approx(result.slices[9].area_mm2, abs=5e-4)


def test_grid_is_reported_in_full_precision() -> None:
    reported = json.loads(json.dumps(build_report(tumour_result())["geometry"]))
    again = Geometry(
        tuple(reported["size_ijk"]),
        tuple(reported["spacing_mm"]),
        tuple(reported["origin_lps"]),
        tuple(reported["direction_lps"]),
    )
    assert again.is_close_to(OBLIQUE, 0)


def test_number_that_is_not_finite_is_a_defect_and_never_written() -> None:
    result = tumour_result()
    broken = dataclasses.replace(result.slices[0], mean_uncertainty=float("nan"))
    with pytest.raises(BrainTumorSegError, match=r"measure of the result is nan.*report it"):
        build_report(dataclasses.replace(result, slices=(broken, *result.slices[1:])))


def test_path_with_undecodable_bytes_gives_valid_json() -> None:
    result = tumour_result()
    odd = dataclasses.replace(result.study, sources={"flair": Source(Path("/data/f\udce9vrier.nii"))})
    validate(build_report(dataclasses.replace(result, study=odd)))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("patient_name",), "Doe"),
        (("lesions", 0, "colour"), "green"),
        (("slices", 0, "tumour_probability"), 1.2),
        (("volume_ml",), -1),
        (("models", "segmentation", "sha256"), "abc"),
        (("settings", "threshold"), None),
        (("geometry", "spacing_mm"), [1, 1]),
        (("inputs", "flair", "series_uid"), "Doe^John"),
    ],
    ids=lambda value: "/".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_schema_refuses_what_is_not_in_the_contract(place: tuple[str | int, ...], value: object) -> None:
    report = copy.deepcopy(build_report(tumour_result()))
    parent: Any = report
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(report)


def test_schema_refuses_a_report_with_a_part_missing() -> None:
    complete = build_report(tumour_result())
    for name in complete:
        with pytest.raises(jsonschema.ValidationError, match=f"'{name}' is a required property"):
            validate({key: value for key, value in complete.items() if key != name})
