"""Write the lists of files in BrainTumorSeg/CMakeLists.txt from the tree: what is not listed is not installed.

python tools/update_cmake_lists.py
"""

from __future__ import annotations

import re
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "BrainTumorSeg"
CMAKE_LISTS = MODULE / "CMakeLists.txt"
SCRIPTS = "MODULE_PYTHON_SCRIPTS"
RESOURCES = "MODULE_PYTHON_RESOURCES"


def files_of(module: Path) -> dict[str, list[str]]:
    """What each list must hold: paths relative to the module, sorted."""
    library = module / "BrainTumorSegLib"
    scripts = [module / "BrainTumorSeg.py", *library.rglob("*.py")]
    data = [path for path in library.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    resources = [path for path in (module / "Resources").rglob("*") if path.is_file()]
    return {SCRIPTS: _relative(scripts, module), RESOURCES: _relative(data + resources, module)}


def listed(text: str, name: str) -> list[str]:
    """The entries of ``set(NAME ...)`` in a CMake file, in its order, with MODULE_NAME filled in."""
    found = re.search(rf"set\({name}\s(.*?)\)", text, re.DOTALL)
    if found is None:
        raise ValueError(f"There is no set({name} ...) in the CMake file.")
    return found[1].replace("${MODULE_NAME}", "BrainTumorSeg").split()


def with_lists(text: str, lists: dict[str, list[str]]) -> str:
    """The CMake file with its lists replaced."""
    for name, entries in lists.items():
        block = "".join(f"  {entry}\n" for entry in entries)
        text = re.sub(rf"set\({name}\s.*?\)", lambda _, b=block, n=name: f"set({n}\n{b}  )", text, flags=re.DOTALL)
    return text


def _relative(paths: list[Path], module: Path) -> list[str]:
    """Without what tools leave behind in hidden folders, such as a linter's cache."""
    relative = [path.relative_to(module) for path in paths]
    return sorted(path.as_posix() for path in relative if not any(part.startswith(".") for part in path.parts))


if __name__ == "__main__":
    CMAKE_LISTS.write_text(with_lists(CMAKE_LISTS.read_text(encoding="utf-8"), files_of(MODULE)), encoding="utf-8")
