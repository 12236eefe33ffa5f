"""What an installation holds: every package of the tree, and one torch everywhere."""

from __future__ import annotations

import re
import tomllib
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


def test_torch_is_pinned_alike_in_the_lock_and_in_the_resolution() -> None:
    pinned = re.findall(r"^torch==[0-9.]+", TORCH_LOCK, flags=re.MULTILINE)
    assert pinned == ["torch==2.13.0"]
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == pinned


@pytest.mark.parametrize(
    "sha256",
    [
        "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
        "796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b",
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    ],
    ids=["cp311 PyPI", "cp312 PyPI", "cp311 CPU", "cp312 CPU"],
)
def test_torch_is_installed_only_as_it_was_published(sha256: str) -> None:
    """The wheels for Linux on x86-64; pip asks for a hash of everything in a file that has one."""
    hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", TORCH_LOCK)
    assert sha256 in hashes
    assert len(hashes) == len(set(hashes)) == len(TORCH_LOCK.splitlines()) - 2
