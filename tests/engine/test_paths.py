"""What can't be read is told before anything is read, in words with a way out."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.paths import check_input, shown, utf8_text

LATIN_1 = os.fsdecode("Müller".encode("latin-1"))


def test_files_and_folders_pass(tmp_path: Path) -> None:
    (tmp_path / "flair.nrrd").touch()
    (tmp_path / "脑").symlink_to(tmp_path / "flair.nrrd")
    for path in (tmp_path, tmp_path / "flair.nrrd", tmp_path / "脑"):
        check_input("FLAIR", path)


@pytest.mark.skipif(os.name != "posix", reason="pipes, sockets and links as Unix has them")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "does not exist. Check the path."),
        ("file/below", "does not exist. Check the path."),
        ("circle", "is a symbolic link that leads round in a circle. Give the file itself."),
        ("x" * 300, "is too long a name for this system. Check the path."),
        ("pipe", "is neither a file nor a folder. Give a file or a DICOM folder."),
        ("socket", "is neither a file nor a folder. Give a file or a DICOM folder."),
        ("dangling", "does not exist. Check the path."),
    ],
)
def test_what_can_not_be_read_is_told_at_once(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, pytest.raises(InputError) as raised:  # noqa: PT012
        listener.bind(str(tmp_path / "socket"))
        check_input("FLAIR", tmp_path / name)
    assert str(raised.value) == f"FLAIR: {tmp_path / name} {said}"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_no_permission_is_not_called_damaged(forbidden_folder: Path, kind: str) -> None:
    path = forbidden_folder / "secret"
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    seteuid, nobody = os.seteuid, os.geteuid()
    try:
        seteuid(0)
        path.mkdir() if kind == "folder" else path.touch()
        path.chmod(0)
    except PermissionError:
        pytest.skip("only root can make a file that this process may not read")
    finally:
        seteuid(nobody)
    with pytest.raises(InputError, match="FLAIR: .*secret can't be read: you have no permission. Ask whoever owns it"):
        check_input("FLAIR", path)


@pytest.mark.skipif(os.name != "posix", reason="only Unix has names that are no text")
def test_a_name_of_another_character_set_is_shown_and_refused(tmp_path: Path) -> None:
    path = tmp_path / LATIN_1 / "flair.nrrd"
    path.parent.mkdir()
    path.touch()
    assert shown(path).endswith(r"M\xfcller/flair.nrrd")
    with pytest.raises(InputError, match=r"M\\xfcller/flair\.nrrd can't be read: its name was written in another"):
        check_input("FLAIR", path)
    with pytest.raises(InputError, match="Rename it"):
        utf8_text(path)
    assert utf8_text(tmp_path / "Müller") == f"{tmp_path}/Müller"
