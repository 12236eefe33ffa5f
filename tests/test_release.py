"""What is staged for a release is whole, listed truly, and runs."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.models.bundle import load_bundle
from BrainTumorSegLib.engine.models.index import ModelEntry, read_index
from BrainTumorSegLib.engine.networks.registry import Task
from BrainTumorSegLib.engine.resources import resource
from command import REPOSITORY

RELEASE = REPOSITORY / "release"
INDEX = read_index(resource("Models.json"))
ENTRIES = INDEX.models
IDS = [entry.name for entry in ENTRIES]


def test_every_file_of_the_release_is_listed() -> None:
    assert sorted(path.name for path in RELEASE.glob("*.zip")) == sorted(entry.file for entry in ENTRIES)


def test_there_is_a_default_model_with_its_classifier() -> None:
    default = INDEX.entry()
    assert default.task is Task.SEGMENTATION
    assert default.classifier is not None
    assert INDEX.entry(default.classifier).task is Task.CLASSIFICATION


def test_the_release_is_small_enough_to_download_in_a_hospital() -> None:
    assert sum(entry.size_bytes for entry in ENTRIES) <= 20_000_000


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_size_and_checksum_are_the_files(entry: ModelEntry) -> None:
    content = (RELEASE / entry.file).read_bytes()
    assert len(content) == entry.size_bytes
    assert hashlib.sha256(content).hexdigest() == entry.sha256


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_the_bundle_loads_and_names_itself(entry: ModelEntry) -> None:
    bundle = load_bundle(RELEASE / entry.file)
    assert (bundle.name, bundle.version) == (entry.name, entry.version)


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_the_bundle_is_complete_and_says_its_licence(entry: ModelEntry) -> None:
    root = Path(entry.name)
    with zipfile.ZipFile(RELEASE / entry.file) as archive:
        names = set(archive.namelist())
        metadata = json.loads(archive.read(str(root / "configs/metadata.json")))
        licence = archive.read(str(root / "docs/data_license.txt")).decode()
    for part in ("LICENSE", "configs/inference.json", "models/model.pt", "docs/README.md"):
        assert str(root / part) in names
    assert entry.licence == "CC-BY-NC-SA-4.0"
    assert "CC BY-NC-SA 4.0" in licence
    assert metadata["version"] in metadata["changelog"]
    assert metadata["braintumorseg"]["init"]
