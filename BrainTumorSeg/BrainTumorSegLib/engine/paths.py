"""Paths that people give: whether there is something to read, and how a message shows one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError

_REASONS = {
    errno.ENOENT: ("does not exist", "Check the path."),
    errno.ENOTDIR: ("does not exist", "Check the path."),
    errno.EACCES: ("can't be read: you have no permission", "Ask whoever owns it, or copy it to a folder of yours."),
    errno.EPERM: ("can't be read: you have no permission", "Ask whoever owns it, or copy it to a folder of yours."),
    errno.ELOOP: ("is a symbolic link that leads round in a circle", "Give the file itself."),
    errno.ENAMETOOLONG: ("is too long a name for this system", "Check the path."),
}


def shown(path: Path) -> str:
    r"""The path for a message: bytes that are no UTF-8 are escaped.

    >>> shown(Path("M\udcfcller"))
    'M\\xfcller'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def utf8_text(path: Path) -> str:
    """The path for ITK, which ends the whole process at one that is no UTF-8. Raises InputError for such a path."""
    text = str(path)
    if not _is_utf8(text):
        raise InputError(
            f"{shown(path)} can't be read: its name was written in another character set than UTF-8.",
            "Rename it, or copy it to a folder with a plain name.",
        )
    return text


def is_utf8(path: Path) -> bool:
    """Whether ITK can be given this path."""
    return _is_utf8(str(path))


def check_input(title: str, path: Path) -> None:
    """Refuse what can't be read, before the work begins. title: how the message calls the sequence.

    Raises InputError for a path that is not there, may not be read, is no file or folder (a pipe would be waited for,
    a device never ends), or can't be given to ITK.
    """
    try:
        utf8_text(path)
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            with os.scandir(path):
                return
        if stat.S_ISREG(kind):
            with path.open("rb"):
                return
    except InputError as error:
        raise InputError(f"{title}: {error.message}", error.action) from error
    except OSError as error:
        raise unreadable(title, path, error) from error
    raise InputError(f"{title}: {shown(path)} is neither a file nor a folder.", "Give a file or a DICOM folder.")


def unreadable(title: str, path: Path, error: OSError) -> InputError:
    """Why the system refuses a path, in words with a way out."""
    reason, action = _REASONS.get(error.errno or 0, (f"can't be read: {error.strerror or error}", "Check the disk."))
    return InputError(f"{title}: {shown(path)} {reason}.", action)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
