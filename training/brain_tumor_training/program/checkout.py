"""A copy of the engine beside other models, so that the real command can run models that are not released."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import BrainTumorSegLib
from BrainTumorSegLib.engine.errors import InputError


@contextmanager
def staged_checkout(release: Path) -> Iterator[Path]:
    """The folder to put on PYTHONPATH of a command that shall use the models in ``release`` (index.json and zips).

    The command finds models in the release folder of the checkout that holds its code, and takes no other path. The
    copy also keeps a long evaluation on one state of the code. Raises InputError if there is no index.
    """
    if not (release / "index.json").is_file():
        raise InputError(f"{release} has no index.json.", "Export a model into it first (braintumorseg-train export).")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        code = Path(BrainTumorSegLib.__file__).parent
        shutil.copytree(
            code, root / "BrainTumorSeg" / "BrainTumorSegLib", ignore=shutil.ignore_patterns("__pycache__", "widget")
        )
        (root / "release").symlink_to(release.resolve(), target_is_directory=True)
        (root / "pyproject.toml").write_text("# marks a checkout, see engine.models.find_release_folder\n")
        yield root / "BrainTumorSeg"
