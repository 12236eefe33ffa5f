"""The text that users send us holds nothing of a patient."""

from __future__ import annotations

import pytest

from BrainTumorSegLib.application.diagnostics import diagnosticsText, withoutPatient
from BrainTumorSegLib.jobs.activity import Failure
from BrainTumorSegLib.jobs.settings import JobSettings


@pytest.mark.parametrize(
    "text",
    [
        "/data/MUELLER Anna/flair.nrrd does not exist.",
        r"Can't read C:\Users\anna.mueller\scans\flair.nii.gz.",
        r"\\server\share\Mueller\t1.nrrd",
        "Series 1.2.840.113619.2.55.3.604688119.969.1268071029.320 is empty.",
        "The volume 'Mueller Anna FLAIR' has no image data.",
        "Volume Mueller Anna FLAIR is missing.",
    ],
    ids=["unix path", "windows path", "share", "uid", "quoted name", "node name"],
)
def test_paths_identifiers_and_names_are_removed(text: str) -> None:
    cleaned = withoutPatient(text, ["Mueller Anna FLAIR"])
    for part in ("ueller", "UELLER", "nna", "604688119", "flair.n"):
        assert part not in cleaned


def test_what_helps_stays() -> None:
    text = "Not enough memory: 0.1 GB are free, 1.0 GB are needed. Version 2.13.0+cpu, Python 3.12.10."
    assert withoutPatient(text) == text


def test_the_text_names_versions_settings_stage_and_failure() -> None:
    failure = Failure("memory", "Not enough memory.", "Close other programs.")
    finding = {"name": "torch", "status": "ok", "message": "torch 2.13.0.", "remedy": ""}
    text = diagnosticsText("Slicer 5.12.0", JobSettings(threshold=0.4), "segment", failure, [finding])
    for part in (
        "BrainTumorSeg ",
        "Slicer 5.12.0",
        "threshold=0.4",
        "Stage: segment",
        "(memory)",
        "torch: ok: torch 2",
    ):
        assert part in text
