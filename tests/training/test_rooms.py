"""The arrows between the rooms of the training package, and inside them, by every import of every file."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import brain_tumor_training

PACKAGE = Path(brain_tumor_training.__file__).parent
FLOORS = (
    {"recipes", "metrics", "program"},
    {"data"},
    {"runs"},
    {"fitting"},
    {"refinement", "calibration"},
    {"bundles"},
    {"evaluation"},
    {"releasing", "reproduction"},
    {"commands"},
)
ROOMS = [room for floor in FLOORS for room in sorted(floor)]


def imported_modules(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it, such as "data.folds"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("brain_tumor_training."):
            module = (node.module or "").partition(".")[2]
            parts = {f"{module}.{alias.name}" for alias in node.names}
            found |= {part for part in parts if (PACKAGE / f"{part.replace('.', '/')}.py").is_file()} or {module}
    return found


def test_every_folder_has_its_floor() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_lower_floors_alone(room: str) -> None:
    floor = next(number for number, rooms in enumerate(FLOORS) if room in rooms)
    below = {one for rooms in FLOORS[:floor] for one in rooms} | {room}
    for path in sorted((PACKAGE / room).glob("*.py")):
        assert {module.split(".")[0] for module in imported_modules(path)} <= below, path.name


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): imported_modules(path)
        for path in PACKAGE.rglob("*.py")
    }
    order = list(TopologicalSorter(files).static_order())
    assert order.index("data.cache") < order.index("main")


def test_commands_share_options_alone() -> None:
    for path in sorted((PACKAGE / "commands").glob("*.py")):
        shared = {module for module in imported_modules(path) if module.startswith("commands.")}
        assert all(module.endswith("_options") for module in shared), path.name


def test_no_underscore_name_is_imported_from_another_file() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                assert not [alias.name for alias in node.names if alias.name.startswith("_")], path.name
