"""Files that come with this code: in Slicer's module they lie beside the library, in a wheel inside it."""

from __future__ import annotations

from pathlib import Path

from BrainTumorSegLib.engine.errors import DefectError

_LIBRARY = Path(__file__).resolve().parents[1]


def resource(name: str, library: Path = _LIBRARY) -> Path:
    """The path of a resource by its name within ``Resources``, such as "Models.json".

    library: the folder of this code. Raises DefectError where the installation lacks it.
    """
    for folder in (library.parent / "Resources", library / "Resources"):
        if (path := folder / name).is_file():
            return path
    raise DefectError(f"The installation is incomplete: it has no Resources/{name}.", "Install it again.")
