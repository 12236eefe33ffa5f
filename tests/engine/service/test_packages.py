"""What is needed is read where it is written, and versions are compared by Python's own rules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.service import packages
from BrainTumorSegLib.engine.service.packages import is_recent, needed_packages, required_version


def test_an_installed_program_is_asked_for_its_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "program_of_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: program-of-test\nVersion: 1.0\n"
        "Requires-Dist: numpy>=1.26\nRequires-Dist: SimpleITK>=2.3\nRequires-Dist: pytest>=8; extra == 'dev'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "DISTRIBUTION", "program-of-test")
    assert needed_packages() == {"numpy": "numpy>=1.26", "SimpleITK": "SimpleITK>=2.3"}


def test_slicers_module_is_asked_for_its_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "DISTRIBUTION", "no-such-program")
    needed = needed_packages()
    assert {"torch", "numpy", "monai", "pooch"} <= set(needed)
    assert needed["torch"] == "torch>=2.8"


@pytest.mark.parametrize(
    ("version", "requirement", "expected"),
    [
        ("2.13.0+cpu", "torch>=2.8", True),
        ("2.8.0a0+5228986c39.nv25.6", "torch>=2.8", True),
        ("2.7.1", "torch>=2.8", False),
        ("1.10rc1", "x>=1.9", True),
        ("a build of ours", "x>=1.9", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, requirement: str, expected: bool) -> None:
    assert is_recent(version, requirement) is expected


def test_without_packaging_no_version_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert is_recent("0.1", "numpy>=1.26")


def test_what_is_needed_is_said_in_words() -> None:
    assert required_version("numpy>=1.26") == "1.26 or newer"
    assert required_version("slicer-core==5.13.*") == "==5.13.*"
