"""What an installation holds: every package of the tree, and one torch everywhere."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TORCH_LOCK = (REPOSITORY / "requirements-torch.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def packages_under(root: Path, name: str) -> set[str]:
    folders = [path.parent for path in (root / name).rglob("__init__.py")]
    return {".".join(folder.relative_to(root).parts) for folder in folders}


def test_every_package_of_the_tree_is_installed() -> None:
    tree = packages_under(REPOSITORY / "BrainTumorSeg", "BrainTumorSegLib")
    tree |= packages_under(REPOSITORY / "training", "brain_tumor_training")
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == tree | {"BrainTumorSegLib.Resources"}


@pytest.mark.parametrize("command", PROJECT["project"]["scripts"])
def test_each_command_is_there(command: str) -> None:
    assert callable(EntryPoint(command, PROJECT["project"]["scripts"][command], "console_scripts").load())


def test_the_command_and_the_module_are_the_same() -> None:
    assert PROJECT["project"]["scripts"]["braintumorseg"] == "BrainTumorSegLib.__main__:run"


def test_torch_is_pinned_alike_in_the_lock_and_in_the_resolution() -> None:
    pinned = re.findall(r"^torch==[0-9.]+", TORCH_LOCK, flags=re.MULTILINE)
    assert pinned == ["torch==2.13.0", "torch==2.13.0", "torch==2.2.2"]
    constraints = PROJECT["tool"]["uv"]["constraint-dependencies"]
    assert [each.partition(";")[0] for each in constraints] == pinned[1:]


@pytest.mark.parametrize(
    "sha256",
    [
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
        "a0d8b11f16a48d60e2015d8213aa0390744cbebb98e58b62b3514dddc656e330",
        "2fe228aba290d14b9f31b049be550dbd469c3fd3013d7a19705b30454da97027",
    ],
    ids=["Linux cp311", "Linux cp312", "Windows cp311", "macOS cp312"],
)
def test_torch_is_installed_only_as_it_was_published(sha256: str) -> None:
    """pip asks for a hash of everything in a file that has one."""
    hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", TORCH_LOCK)
    assert sha256 in hashes
    assert len(hashes) == len(set(hashes))


def test_every_locked_package_is_in_the_list_of_licences() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    names = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", lock, flags=re.MULTILINE))
    page = (REPOSITORY / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| ([A-Za-z0-9._-]+) \|", page, flags=re.MULTILINE))
    assert not names - listed, "run python tools/licences.py"
