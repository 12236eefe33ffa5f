"""The arrows between the parts, held by reading every import and by importing for real."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MODULE = REPOSITORY / "BrainTumorSeg"
LIBRARY = MODULE / "BrainTumorSegLib"
TRAINING = REPOSITORY / "training"

HEAVY = ("torch", "monai", "torchvision")
SLICER_SIDE = ("worker.py", "scene", "jobs", "widget")


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours_in(path: Path) -> set[str]:
    """Which parts of this project a file imports: "engine", "scene", "brain_tumor_training", ..."""
    found = set()
    for name in imports_of(path):
        package, _, rest = name.partition(".")
        if package == "BrainTumorSegLib" and rest:
            found.add(rest.split(".")[0])
        elif package == "brain_tumor_training":
            found.add(package)
    return found - {"__version__"}


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("path", python_files(LIBRARY / "engine"), ids=lambda path: path.name)
def test_engine_imports_nothing_else_of_ours(path: Path) -> None:
    assert ours_in(path) <= {"engine"}


@pytest.mark.parametrize("path", python_files(TRAINING), ids=lambda path: path.name)
def test_training_imports_engine_and_its_client_alone(path: Path) -> None:
    assert ours_in(path) <= {"engine", "worker", "brain_tumor_training"}


@pytest.mark.parametrize("path", python_files(LIBRARY / "cli"), ids=lambda path: path.name)
def test_command_line_imports_engine_alone(path: Path) -> None:
    assert ours_in(path) <= {"engine", "cli"}


@pytest.mark.parametrize(
    ("part", "allowed"),
    [
        ("worker.py", {"engine"}),
        ("scene", {"engine", "scene", "worker"}),
        ("jobs", {"engine", "scene", "worker", "jobs"}),
        ("widget", {"engine", "scene", "worker", "jobs", "widget"}),
    ],
)
def test_slicer_side_points_only_towards_the_engine(part: str, allowed: set[str]) -> None:
    for path in slicer_side_files(part):
        assert ours_in(path) <= allowed, path.name


def slicer_side_files(part: str) -> list[Path]:
    path = LIBRARY / part
    return [path] if path.is_file() else python_files(path)


@pytest.mark.parametrize("part", SLICER_SIDE)
def test_slicer_side_never_imports_torch(part: str) -> None:
    for path in slicer_side_files(part):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & set(HEAVY), path.name


def test_scene_has_no_qt() -> None:
    for path in python_files(LIBRARY / "scene"):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & {"qt", "ctk", "PySide6", "PythonQt"}, path.name


def loaded_by(statement: str) -> set[str]:
    """Names of all modules that are loaded after a statement in a fresh Python."""
    script = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=MODULE, timeout=60, check=True
    )
    return set(run.stdout.split())


def engine_modules_of_slicer_side() -> set[str]:
    """Every module of the engine that something in Slicer's own process imports."""
    names = {name for part in SLICER_SIDE for path in slicer_side_files(part) for name in imports_of(path)}
    return {".".join(name.split(".")[:3]) for name in names if name.startswith("BrainTumorSegLib.engine.")}


def test_what_slicer_imports_of_the_engine_loads_no_torch() -> None:
    modules = engine_modules_of_slicer_side()
    assert "BrainTumorSegLib.engine.errors" in modules
    assert not loaded_by("import " + ", ".join(sorted(modules))) & set(HEAVY)


def test_worker_client_needs_the_standard_library_alone() -> None:
    before = loaded_by("pass")
    new = {name.split(".")[0] for name in loaded_by("import BrainTumorSegLib.client.process") - before}
    assert new - sys.stdlib_module_names == {"BrainTumorSegLib"}


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("from BrainTumorSegLib.cli.main import build_parser; build_parser().format_help()")
    assert not loaded & {*HEAVY, "numpy", "SimpleITK", "scipy", "matplotlib", "requests", "tqdm"}


def test_worker_answers_before_it_loads_torch() -> None:
    loaded = loaded_by("import BrainTumorSegLib.engine.service.server, BrainTumorSegLib.engine.service.requests")
    assert not loaded & {*HEAVY, "numpy", "SimpleITK"}


def test_bad_input_is_found_before_torch_is_loaded() -> None:
    assert not loaded_by("import BrainTumorSegLib.engine.service.run") & set(HEAVY)


def test_the_lock_holds_no_cuda_library() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    names = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert "numpy" in names
    assert not {name for name in names if name.startswith(("nvidia", "cuda", "triton", "torch"))}
