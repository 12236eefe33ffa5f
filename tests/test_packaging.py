"""What an installation holds: every package of the tree, and one torch everywhere."""

from __future__ import annotations

import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def packages_under(root: Path, name: str) -> set[str]:
    folders = [path.parent for path in (root / name).rglob("__init__.py")]
    return {".".join(folder.relative_to(root).parts) for folder in folders}


def test_every_package_of_the_tree_is_installed() -> None:
    tree = packages_under(REPOSITORY / "BrainTumorSeg", "BrainTumorSegLib")
    tree |= packages_under(REPOSITORY / "training", "brain_tumor_training")
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == tree | {"BrainTumorSegLib.Resources"}


def test_torch_is_pinned_alike_in_the_lock_and_in_the_resolution() -> None:
    pinned = (REPOSITORY / "requirements-torch.lock").read_text(encoding="utf-8").strip()
    assert pinned == "torch==2.13.0"
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == [pinned]
