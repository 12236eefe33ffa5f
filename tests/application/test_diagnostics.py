"""The text that users send us holds nothing of a patient."""

from __future__ import annotations

import random
import re

import pytest

from BrainTumorSegLib.application.diagnostics import diagnosticsText
from BrainTumorSegLib.jobs.activity import Failure
from BrainTumorSegLib.jobs.settings import JobSettings
from documentation import GAP, error_templates

ERRORS = {"BrainTumorSegError", "InputError", "GeometryError", "OutputError", "ModelError", "MemoryExhaustedError"}
TEMPLATES = sorted({message for _, message in error_templates(ERRORS, ("engine/networks/",))})

# Each holds a part that must never be written, in upper case.
PLANTED = [
    "/data/XMÜLLER, Anna/flair.nrrd",
    "XOBRIEN's scan, 2nd",
    r"..\XMUELLER^ANNA\t1 (1).nii.gz",
    "XMUELLER",
    "AX FLAIR XANNA M. 12.03.1960",
    "1.2.840.19600312.55.3.604688119.969.20240229",
    "19600312",
    "12.03.1960",
    "MRN 0604688119",
    "XANNA and no permission (XMUELLER)",
    "T1: XMUELLER does not exist.",
    "xanna@hospital.example",
    "~/XMUELLER",
]
SECRETS = ("xm", "xo", "xanna", "1960", "60468", "20240229", "muel", "müll", "brien")


def told(message: str, action: str = "", findings: tuple[dict[str, str], ...] = ()) -> str:
    """What is written of an error and of findings, without the lines about this machine and the settings."""
    text = diagnosticsText("Slicer 5.12.0", JobSettings(), "segment", Failure("input", message, action), findings)
    return text[text.index("Failure") :]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_filled_into_a_message_stays_out(seed: int) -> None:
    rng = random.Random(seed)
    for template in rng.sample(TEMPLATES, 12):
        message = "".join(part + rng.choice(PLANTED) for part in template.split(GAP))
        text = told(message, rng.choice(PLANTED), ({"name": "disk", "status": "problem", "message": message},))
        assert not [secret for secret in SECRETS if secret in text.lower()], (message, text)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_text_that_is_not_ours_stays_out(planted: str) -> None:
    text = told(f"{planted} went wrong in {planted}.", planted)
    assert not [secret for secret in SECRETS if secret in text.lower()], text


def test_what_the_program_never_says_is_a_gap() -> None:
    assert told("Anna Müller feels better.", "Call her.") == f"Failure (input): {GAP}\nAdvice: {GAP}\n"


def test_the_words_of_a_message_stay() -> None:
    """Of each part of a template that has a few words."""
    lost = []
    for template in random.Random(0).sample(TEMPLATES, 40):
        text = told(template.replace(GAP, "XMUELLER"))
        parts = [part.strip(" .,:;()'") for part in re.split(rf"{GAP}|(?<=[.!?]) ", template)]
        lost += [(part, text) for part in parts if " " in part and len(part) > 6 and part not in text]
    assert not lost


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("FLAIR: /data/XMUELLER/f.nii does not exist.", f"FLAIR: {GAP} does not exist."),
        (
            "T1 with contrast covers 3% of the head in FLAIR: by their headers they lie apart.",
            "T1 with contrast covers 3%",
        ),
        (
            "The engine's process ended unexpectedly (stopped by SIGKILL). Its last words: "
            "Traceback | File '/home/xanna/x.py' | MemoryError: XMUELLER",
            "(stopped by SIGKILL). Its last words: … MemoryError …",
        ),
        (
            "This is a defect, ValueError: XMUELLER (engine/foreign_errors.py, line 12).",
            "This is a defect, ValueError … (engine/foreign_errors.py, line 12).",
        ),
        ("Model lgg-resunetpp 9.9.9 is not installed.", f"Model lgg-resunetpp {GAP} is not installed."),
    ],
    ids=["path", "numbers", "crash", "defect", "model"],
)
def test_what_helps_stays(message: str, kept: str) -> None:
    text = told(message)
    assert kept in text
    assert not [secret for secret in SECRETS if secret in text.lower()]


def test_the_text_names_versions_settings_stage_and_failure() -> None:
    failure = Failure("memory", "There is not enough memory for this study.", "Close other programs.")
    finding = {
        "name": "output folder",
        "status": "warning",
        "message": "/xanna can be written to and has 76.9 GB free.",
    }
    settings = JobSettings(threshold=0.4, model="lgg-resunetpp", device="/home/xanna")
    text = diagnosticsText("Slicer 5.12.0", settings, "segment", failure, [finding])
    for part in (
        "BrainTumorSeg ",
        "Slicer 5.12.0",
        "torch 2.",
        "threshold=0.4",
        "model=lgg-resunetpp",
        f"device={GAP}",
        "Stage: segment",
        "(memory): There is not enough memory for this study.",
        f"output folder: warning: {GAP} can be written to and has 76.9 GB free.",
    ):
        assert part in text
