"""The arrows between the parts, held by reading every import and by importing for real."""

from __future__ import annotations

import ast
import graphlib
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
SLICER_SIDE = ("application", "client", "scene", "jobs", "widget")


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a module: the folder below the package, in the engine the one below that."""
    if parts[0] == "engine" and len(parts) > 1:
        return f"engine.{parts[1]}"
    return parts[0]


def rooms_used_by(path: Path, package: Path) -> set[str]:
    """The rooms of a package that one of its files imports from, its own left out."""
    own = room_of(path.relative_to(package).with_suffix("").parts) if path.is_relative_to(package) else None
    names = [name.split(".") for name in imports_of(path)]
    used = {room_of(tuple(parts[1:])) for parts in names if parts[0] == package.name and len(parts) > 1}
    return used - {own, "__version__"}


def packages_used_by(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


LIBRARY_ROOMS = {
    "engine": set(),
    "engine.errors": set(),
    "engine.settings": {"engine.errors"},
    "engine.paths": {"engine.errors"},
    "engine.resources": {"engine.errors"},
    "engine.temporary": set(),
    "engine.files": {"engine.errors", "engine.paths", "engine.temporary"},
    "engine.foreign_errors": {"engine.errors", "engine.paths"},
    "engine.memory": {"engine.errors"},
    "engine.study": {"engine.errors", "engine.paths", "engine.files", "engine.foreign_errors", "engine.memory"},
    "engine.networks": {"engine.errors"},
    "engine.models": {
        *("engine.errors", "engine.resources", "engine.temporary", "engine.files"),
        *("engine.networks",),
    },
    "engine.measurement": {"engine.errors", "engine.settings", "engine.study", "engine.models"},
    "engine.inference": {
        *("engine.errors", "engine.foreign_errors", "engine.settings"),
        *("engine.study", "engine.networks", "engine.models", "engine.measurement"),
    },
    "engine.output": {
        *("engine.errors", "engine.files", "engine.settings"),
        *("engine.study", "engine.models", "engine.measurement"),
    },
    "engine.sample": {"engine.errors", "engine.files", "engine.resources"},
    "engine.service": {
        *("engine.errors", "engine.paths", "engine.temporary", "engine.files", "engine.foreign_errors"),
        *("engine.memory", "engine.resources", "engine.settings"),
        *("engine.study", "engine.models", "engine.measurement", "engine.inference", "engine.output"),
    },
    "cli": {"engine", "client"},  # a batch has workers, as Slicer has
    "client": {"engine"},
    "scene": {"engine"},
    "jobs": {"engine", "client", "scene"},
    "application": {"engine", "jobs"},  # the diagnostics say at what a job failed
    "widget": {"engine", "client", "scene", "jobs", "application"},
    "__main__": {"cli"},
}
"""Which rooms of the library each room may use; "engine" stands for all of the engine's."""

BELOW_TRAINING = ("recipes", "metrics", "program", "data", "runs", "fitting")
TRAINING_ROOMS: dict[str, set[str]] = {
    "recipes": set(),
    "metrics": set(),
    "program": set(),
    "monai_inference": set(),
    "data": {"recipes", "metrics", "program"},
    "runs": {"recipes", "metrics", "program", "data"},
    "fitting": set(BELOW_TRAINING[:-1]),
    "refinement": set(BELOW_TRAINING),
    "calibration": set(BELOW_TRAINING),
    "bundles": {*BELOW_TRAINING, "refinement", "calibration"},
    "evaluation": {*BELOW_TRAINING, "refinement", "calibration", "bundles"},
    "releasing": {*BELOW_TRAINING, "refinement", "calibration", "bundles", "evaluation"},
    "reproduction": {*BELOW_TRAINING, "refinement", "calibration", "bundles", "evaluation"},
    "commands": {*BELOW_TRAINING, "refinement", "calibration", "bundles", "evaluation", "releasing", "reproduction"},
    "main": {"commands"},
}
"""Which rooms of the training package each room may use."""


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def label(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix().split("/", 2)[2]


def is_allowed(room: str, allowed: set[str]) -> bool:
    return room in allowed or ("engine" in allowed and room.startswith("engine."))


@pytest.mark.parametrize("path", [p for p in python_files(LIBRARY) if p.name != "__init__.py"], ids=label)
def test_a_room_of_the_library_uses_only_rooms_before_it(path: Path) -> None:
    allowed = LIBRARY_ROOMS[room_of(path.relative_to(LIBRARY).with_suffix("").parts)]
    used = rooms_used_by(path, LIBRARY)
    assert not {room for room in used if not is_allowed(room, allowed)}
    assert "brain_tumor_training" not in packages_used_by(path)


@pytest.mark.parametrize("path", [p for p in python_files(TRAINING) if p.name != "__init__.py"], ids=label)
def test_a_room_of_training_uses_only_rooms_before_it(path: Path) -> None:
    package = TRAINING / "brain_tumor_training"
    allowed = TRAINING_ROOMS[room_of(path.relative_to(package).with_suffix("").parts)]
    assert rooms_used_by(path, package) <= allowed
    assert {room for room in rooms_used_by(path, LIBRARY) if not room.startswith("engine")} <= {"client"}


def arrows(package: Path) -> dict[str, set[str]]:
    """Each module of a package with the modules of it that it imports when it is loaded."""
    modules = {_module(path, package): path for path in python_files(package)}
    return {name: _loaded_first(path, set(modules)) - {name} for name, path in modules.items()}


def _module(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def _loaded_first(path: Path, known: set[str]) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & known) or ({node.module or ""} & known)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found


@pytest.mark.parametrize("package", [LIBRARY, TRAINING / "brain_tumor_training"], ids=lambda path: path.name)
def test_no_file_needs_itself_by_way_of_others(package: Path) -> None:
    sorter = graphlib.TopologicalSorter(arrows(package))
    sorter.prepare()  # raises CycleError, which names the circle


def test_commands_share_their_options_alone() -> None:
    used_by = arrows(TRAINING / "brain_tumor_training")
    prefix = "brain_tumor_training.commands."
    for command in (name for name in used_by if name.startswith(prefix)):
        assert all(name.endswith("_options") for name in used_by[command] if name.startswith(prefix)), command


@pytest.mark.parametrize("package", [LIBRARY, TRAINING / "brain_tumor_training"], ids=lambda path: path.name)
def test_what_is_private_to_a_file_stays_in_it(package: Path) -> None:
    for path in python_files(package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                private = {alias.name for alias in node.names if alias.name.startswith("_")}
                assert not private - {"_", "__version__"}, path


def slicer_side_files(part: str) -> list[Path]:
    return python_files(LIBRARY / part)


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
    imported = {name for name in names if name.startswith("BrainTumorSegLib.engine.")}
    files = {_module(path, LIBRARY) for path in python_files(LIBRARY / "engine")}
    return imported & files


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
    assert not loaded_by("import BrainTumorSegLib.engine.service.run") & {*HEAVY, "pydicom"}


def test_the_lock_holds_no_cuda_library() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    names = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert "numpy" in names
    assert not {name for name in names if name.startswith(("nvidia", "cuda", "triton", "torch"))}
