"""Fixtures for the engine's tests: real disks and folders that refuse."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.sample.study import SamplePaths, write_sample

NOBODY = 65534


@pytest.fixture
def forbidden_folder() -> Iterator[Path]:
    """A folder in which this process may not write; root gives up its rights for the test."""
    if os.name != "posix":
        pytest.skip("permissions are made by chmod, which Windows lacks")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    yield folder
    if was_root:
        os.seteuid(0)
    shutil.rmtree(folder)


@pytest.fixture
def second_user() -> Callable[[], AbstractContextManager[None]]:
    """Makes this process another user's during a block; only root can."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("becoming another user needs root on POSIX")

    @contextmanager
    def become() -> Iterator[None]:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return become


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 400 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root on Linux")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def sample_study(tmp_path_factory: pytest.TempPathFactory) -> SamplePaths:
    """The synthetic study of ``braintumorseg sample``, made once."""
    return write_sample(tmp_path_factory.mktemp("sample"))
