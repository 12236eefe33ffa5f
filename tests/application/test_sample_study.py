"""The study registered in Slicer's Sample Data module: whole by its SHA-256, current, and understood by the panel."""

from __future__ import annotations

import shutil
import sys
import types
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from BrainTumorSegLib.application.sampleStudy import SHA256, nodeName, registerSampleStudy
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import SERIES_DESCRIPTION, role_of

RESOURCES = Path(__file__).parents[2] / "BrainTumorSeg" / "Resources"


def registered(resources: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Slicer's SampleDataLogic, which slicer-core lacks, is given."""
    given: list[dict[str, Any]] = []
    logic = types.SimpleNamespace(registerCustomSampleDataSource=lambda **source: given.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=logic))
    registerSampleStudy(resources)
    assert len(given) == 1
    return given[0]


def failures(source: dict[str, Any], cache: Path) -> list[str]:
    """Files that Slicer would refuse: fetched and judged by the calls that its SampleDataLogic makes."""
    util = pytest.importorskip("slicer.util", reason="needs Slicer's own checksums: pip install slicer-core")
    refused = []
    for uri, name, checksum in zip(source["uris"], source["fileNames"], source["checksums"], strict=True):
        urllib.request.urlretrieve(uri, cache / name)
        algorithm, digest = util.extractAlgoAndDigest(checksum)
        assert algorithm == "SHA256"
        if util.computeChecksum(algorithm, str(cache / name)) != digest:
            refused.append(name)
    return refused


def test_every_registered_file_has_the_registered_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = registered(RESOURCES, monkeypatch)
    assert len(source["uris"]) == len(source["nodeNames"]) == 3
    assert failures(source, tmp_path) == []
    assert Path(source["thumbnailFileName"]).is_file()


def test_a_damaged_file_is_refused_also_below_a_folder_with_spaces_and_umlauts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = tmp_path / "Erweiterungen für Slicer"
    shutil.copytree(RESOURCES / "SampleStudy", resources / "SampleStudy")
    damaged = resources / "SampleStudy" / "BrainTumorSegSample_t1.nii.gz"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 255
    damaged.write_bytes(content)
    source = registered(resources, monkeypatch)
    assert failures(source, tmp_path) == ["BrainTumorSegSample_t1.nii.gz"]


def test_the_panel_knows_the_sequences_by_the_names_they_get() -> None:
    roles = [role_of({SERIES_DESCRIPTION: nodeName(sequence)}) for sequence in SHA256]
    assert roles == [Role.FLAIR, Role.T1, Role.T1C]


def test_a_slicer_without_the_sample_data_module_starts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SampleData", None)
    registerSampleStudy(RESOURCES)
