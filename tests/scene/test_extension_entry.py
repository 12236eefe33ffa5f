"""The extension meets what the Extensions Index checks by machine and its reviewers ask first.

Rules: Slicer/ExtensionsIndex scripts/check_description_files.py and Slicer's catalogue entry schema 1.0.2.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import platform
import re
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY = REPOSITORY / "BrainTumorSeg.json"
RAW_PREFIX = "https://raw.githubusercontent.com/BrainTumorSeg/SlicerBrainTumorSeg/main/"
ALLOWED = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "tier": int,
}


@pytest.fixture(scope="module")
def entry() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(ENTRY.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def cmake() -> str:
    return (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")


def value_of(cmake: str, name: str) -> str:
    found = re.search(rf'set\({name} "([^"]+)"\)', cmake)
    assert found is not None, name
    return found[1]


def test_entry_has_the_keys_of_the_schema_and_no_other(entry: dict[str, Any]) -> None:
    assert {"$schema", "category", "scm_url"} <= set(entry) <= set(ALLOWED)
    assert all(type(value) is ALLOWED[key] for key, value in entry.items())
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")


def test_entry_is_in_an_accepted_category_and_tier(entry: dict[str, Any]) -> None:
    assert entry["category"] in {"Segmentation", "Neuroimaging"}
    assert 1 <= entry["tier"] <= 5


def test_repository_has_slicer_in_its_name_and_the_extension_has_not(entry: dict[str, Any]) -> None:
    url = urlsplit(entry["scm_url"])
    assert url.scheme in {"git", "https"}
    assert url.path.rsplit("/", 1)[-1].startswith("Slicer")
    assert not ENTRY.stem.startswith("Slicer")


def test_entry_has_unix_lines_sorted_keys_and_two_spaces(entry: dict[str, Any]) -> None:
    text = ENTRY.read_bytes()
    assert b"\r" not in text
    assert text.endswith(b"}\n")
    assert list(entry) == sorted(entry)
    assert all(line.startswith(b'  "') for line in text.splitlines()[1:-1])


def test_project_and_dependencies_are_those_of_the_entry(entry: dict[str, Any], cmake: str) -> None:
    assert re.findall(r"project\s*\(\s*([^\s)]+)", cmake)[0] == ENTRY.stem
    assert value_of(cmake, "EXTENSION_DEPENDS").split() == entry["build_dependencies"]
    assert value_of(cmake, "EXTENSION_HOMEPAGE") == entry["scm_url"]


def test_icon_address_is_that_of_the_file_in_this_repository(cmake: str) -> None:
    url = value_of(cmake, "EXTENSION_ICONURL")
    assert url.startswith(RAW_PREFIX)
    assert (REPOSITORY / url.removeprefix(RAW_PREFIX)).is_file()


def test_screenshots_are_pictures_in_this_repository_large_enough_to_read(cmake: str) -> None:
    urls = value_of(cmake, "EXTENSION_SCREENSHOTURLS").split()
    assert urls
    for url in urls:
        assert url.startswith(RAW_PREFIX)
        with Image.open(REPOSITORY / url.removeprefix(RAW_PREFIX)) as image:
            assert image.format in {"PNG", "JPEG", "GIF"}  # what the Index accepts
            assert min(image.size) >= 600


@pytest.mark.parametrize("path", ["BrainTumorSeg.png", "BrainTumorSeg/Resources/Icons/BrainTumorSeg.png"])
def test_icon_is_a_png_of_128_by_128(path: str) -> None:
    with Image.open(REPOSITORY / path) as image:
        assert (image.format, image.size) == ("PNG", (128, 128))


def test_licence_is_in_the_root_under_an_accepted_name() -> None:
    assert "Apache License" in (REPOSITORY / "LICENSE").read_text(encoding="utf-8")


def read_requirements(name: str) -> list[Requirement]:
    lines = (REPOSITORY / "BrainTumorSeg/Resources" / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def requirements() -> list[Requirement]:
    return read_requirements("requirements.txt")


def brought_by_slicer() -> dict[str, Requirement]:
    return {each.name: each for each in read_requirements("requirements-of-slicer.txt")}


def test_both_lists_for_slicer_together_are_what_the_project_requires() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*read_requirements("requirements-of-slicer.txt"), *requirements()]
    assert sorted(map(str, listed)) == sorted(str(Requirement(each)) for each in project["dependencies"])


def test_requirements_are_floors_and_leave_slicers_own_packages_alone() -> None:
    own = {"pydicom", *(each.lower() for each in brought_by_slicer())}
    for system, machine in (("linux", "x86_64"), ("win32", "AMD64"), ("darwin", "arm64")):
        listed = for_machine(requirements(), system, machine)
        assert not {each.name.lower() for each in listed} & own
        assert all({each.operator for each in item.specifier} == {">="} for item in listed)
    assert {each.name for each in for_machine(requirements(), "darwin", "x86_64")} & own == {"numpy"}


def for_machine(listed: list[Requirement], system: str, machine: str) -> list[Requirement]:
    environment = {"sys_platform": system, "platform_machine": machine}
    return [each for each in listed if each.marker is None or each.marker.evaluate(environment)]


def test_requirements_are_met_where_these_tests_run() -> None:
    for item in for_machine(requirements(), sys.platform, platform.machine()):
        assert item.specifier.contains(importlib.metadata.version(item.name)), str(item)


def test_torch_floor_suits_monai() -> None:
    """A lower floor would let pip replace the torch that the PyTorch extension chose by another build."""
    needed = next(each for each in map(Requirement, importlib.metadata.requires("monai") or []) if each.name == "torch")
    listed = for_machine(read_requirements("requirements-of-slicer.txt"), sys.platform, platform.machine())
    floor = next(iter(next(each for each in listed if each.name == "torch").specifier))
    assert floor.operator == ">="
    assert needed.specifier.contains(floor.version)


def third_party_of_engine() -> set[str]:
    """Top-level packages that the engine and the command line import, besides Python's own and ours."""
    found = set()
    library = REPOSITORY / "BrainTumorSeg" / "BrainTumorSegLib"
    for path in [*(library / "engine").rglob("*.py"), *(library / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])
    return found - set(sys.stdlib_module_names) - {"BrainTumorSegLib", "__future__"}


def test_everything_the_engine_imports_is_required_or_comes_with_slicer() -> None:
    listed = {*brought_by_slicer(), *(each.name for each in requirements())}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    of_clusters = {Requirement(each).name for each in project["optional-dependencies"]["cluster"]}
    modules = {{"pillow": "PIL", "scikit-image": "skimage"}.get(name, name) for name in listed}
    assert third_party_of_engine() <= modules | of_clusters


def test_nifti_files_still_open_as_volumes_for_everybody() -> None:
    """Slicer loads what a module depends on in this order, and of two readers of one format takes the earlier one."""
    text = (REPOSITORY / "BrainTumorSeg" / "BrainTumorSeg.py").read_text(encoding="utf-8")
    found = re.search(r"parent\.dependencies = (\[.*?\])", text, re.DOTALL)
    assert found is not None
    dependencies = ast.literal_eval(found[1])
    assert dependencies.index("Volumes") < dependencies.index("Segmentations")
