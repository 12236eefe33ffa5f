"""What is needed is read where it is written, and versions are compared by Python's own rules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.service import packages
from BrainTumorSegLib.engine.service.packages import is_recent, needed_packages, required_version

LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
INTEL_MAC = {"sys_platform": "darwin", "platform_machine": "x86_64"}
APPLE_SILICON = {"sys_platform": "darwin", "platform_machine": "arm64"}


def test_an_installed_program_is_asked_for_its_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "program_of_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: program-of-test\nVersion: 1.0\n"
        "Requires-Dist: numpy>=1.26; sys_platform != 'zos'\nRequires-Dist: numpy<1; sys_platform == 'zos'\n"
        "Requires-Dist: SimpleITK>=2.3\nRequires-Dist: pytest>=8; extra == 'dev'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "DISTRIBUTION", "program-of-test")
    assert needed_packages() == {"numpy": "numpy>=1.26", "SimpleITK": "SimpleITK>=2.3"}


def test_slicers_module_is_asked_for_its_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "DISTRIBUTION", "no-such-program")
    needed = needed_packages(machine=LINUX)
    assert {"torch", "numpy", "monai", "pooch"} <= set(needed)
    assert needed["torch"] == "torch>=2.8"


def test_an_intel_mac_needs_what_pytorch_still_has_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "DISTRIBUTION", "no-such-program")
    mac, apple = needed_packages(machine=INTEL_MAC), needed_packages(machine=APPLE_SILICON)
    assert {name for name in mac if mac[name] != apple[name]} == {"torch", "monai", "numpy"}
    assert is_recent("2.2.2", mac["torch"])
    assert is_recent("1.4.0", mac["monai"])
    assert not is_recent("1.5.0", mac["monai"])
    assert is_recent("1.26.4", mac["numpy"])
    assert not is_recent("2.4.6", mac["numpy"])
    assert apple == needed_packages(machine=LINUX)


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
    monkeypatch.setitem(sys.modules, "packaging.markers", None)
    assert "torch" in needed_packages()
    assert is_recent("0.1", "numpy>=1.26")


def test_what_is_needed_is_said_in_words() -> None:
    assert required_version("numpy>=1.26") == "1.26 or newer"
    assert required_version("slicer-core==5.13.*") == "==5.13.*"
