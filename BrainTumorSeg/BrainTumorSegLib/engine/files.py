"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from BrainTumorSegLib.engine.errors import DefectError, OutputError
from BrainTumorSegLib.engine.paths import is_utf8, shown
from BrainTumorSegLib.engine.temporary import Move, clear_leftovers, temporary_beside, write_journals

_FULL_BELOW_BYTES = 64 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target``, with its suffixes, that becomes ``target`` when the block ends well.

    An earlier ``target`` is replaced in one step, and stays untouched if the block raises anything, a cancel or
    Ctrl-C included; the temporary file is then removed. Raises OutputError, before the block, where ``target`` can't
    be written, and, after it, where the disk is full or the rename fails.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(pathlib.Path(folder, "scores.json")) as temporary:
    ...         _ = temporary.write_text("[]")
    ...     pathlib.Path(folder, "scores.json").read_text()
    '[]'
    """
    with atomic_paths([target]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def atomic_paths(targets: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Temporary paths beside several targets, which become the targets together or not at all.

    Every file is complete and on the disk before the first is renamed. A rename that fails undoes those before it; a
    set that a killed process did not finish is finished by whoever writes into that folder next, before the block.
    Raises OutputError as ``atomic_path`` does, and for two targets that are one file.
    """
    resolved = [_through_link(target) for target in targets]
    check_distinct(resolved)
    for folder in dict.fromkeys(target.parent for target in resolved):
        clear_leftovers(folder)
    for target in resolved:
        check_writable(target)
    temporaries = tuple(temporary_beside(target) for target in resolved)
    try:
        with output_errors(resolved[0]):
            yield temporaries
        for temporary, target in zip(temporaries, resolved, strict=True):
            _flush_to_disk(temporary, target)
            _refuse_full_disk(target)
        _rename_together(tuple(zip(temporaries, resolved, strict=True)))
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def publish(temporary: Path, target: Path) -> None:
    """Make a complete file beside ``target`` the target, in one step. Raises OutputError."""
    _flush_to_disk(temporary, target)
    _rename_together(((temporary, target),))


def check_distinct(targets: Sequence[Path]) -> None:
    """Raises OutputError for two targets that are one file."""
    seen: set[str] = set()
    for target in targets:
        key = os.path.normcase(os.path.realpath(target))
        if key in seen:
            raise OutputError(f"Two outputs have the same path, {target}.", "Give each output its own file name.")
        seen.add(key)


def check_writable(target: Path) -> None:
    """Raises OutputError if a file can't be made at ``target``: found by making (and removing) one beside it."""
    if not is_utf8(target):
        raise OutputError(
            f"Can't write {shown(target)}: its name is in another character set than UTF-8.",
            "Choose a folder and a file with plain names.",
        )
    trial = temporary_beside(target)
    with output_errors(target):
        _refuse_folder(target)
        trial.touch(exist_ok=False)
        trial.unlink()


@contextlib.contextmanager
def output_errors(target: Path) -> Iterator[None]:
    """Turn an operating-system error of the block into an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        raise _as_output_error(error, target) from error
    except RuntimeError:
        # ITK reports a failed write as a bare RuntimeError: a full disk shows only in what is left of it.
        _refuse_full_disk(target)
        raise


def _as_output_error(error: OSError, target: Path) -> OutputError:
    folder, name = target.parent, shown(target)
    if error.errno in _FULL:
        return OutputError(
            f"Can't write {name}: the disk is full.", "Free some space there, or choose a folder on another disk."
        )
    if error.errno == errno.EISDIR:
        return OutputError(f"Can't write {name}: it is a folder.", "Give the name of a file in it.")
    if error.errno in _FORBIDDEN:
        return OutputError(
            f"Can't write {name}: no permission ({error.strerror}).",
            "Choose a folder in which you may write, and close any program that has the file open.",
        )
    if error.errno == errno.ENOTDIR or not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        return OutputError(
            f"Can't write {name}: the folder {shown(folder)} {what}.", "Create the folder first, or choose another one."
        )
    return OutputError(f"Can't write {name}: {error.strerror or error}.", "Choose another folder or file name.")


def _refuse_folder(target: Path) -> None:
    """Raises OSError for a folder, and for a name that the system refuses: too long, links in a circle."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(target.stat().st_mode):
            return
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < _FULL_BELOW_BYTES


def _through_link(target: Path) -> Path:
    """The file that a symbolic link names, so that the link itself survives."""
    with output_errors(target):
        return Path(os.path.realpath(target)) if target.is_symlink() else target.absolute()


def _refuse_full_disk(target: Path) -> None:
    """Raises OutputError on a full disk: ITK 5.4's NIfTI writer cuts a file short there and reports success.

    Until ITK checks its writes; tests/engine/test_files.py shows it.
    """
    if _is_full(target.parent):
        raise _as_output_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), target)


def _flush_to_disk(temporary: Path, target: Path) -> None:
    if not temporary.is_file():
        raise DefectError(f"Nothing was written for {target}.", "This is a defect; please report it.")
    with output_errors(target), temporary.open("rb+") as stream:
        os.fsync(stream.fileno())


def _rename_together(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Rename every (temporary, target); on any failure put all targets back as they were.

    A process that is killed meanwhile leaves a journal, from which ``clear_leftovers`` completes the set.
    """
    if len(pairs) == 1:
        _rename(*pairs[0])
    else:
        _rename_as_set(pairs)
    for folder in {target.parent for _, target in pairs}:
        _flush_folder(folder)


def _rename(temporary: Path, target: Path) -> None:
    with output_errors(target):
        _refuse_folder(target)
        temporary.replace(target)


def _rename_as_set(pairs: Sequence[tuple[Path, Path]]) -> None:
    with output_errors(pairs[0][1]):
        moves = [Move.onto(*pair) for pair in pairs]
        journals = write_journals(moves)
    begun: list[Move] = []
    try:
        for move in moves:
            begun.append(move)
            with output_errors(move.target):
                _refuse_folder(move.target)
                move.keep_earlier()
            _rename(move.temporary, move.target)
    except BaseException:
        for move in reversed(begun):
            move.put_back()
        raise
    finally:
        for folder in {journal.parent for journal in journals}:
            _flush_folder(folder)
        for path in (*journals, *(move.kept for move in moves)):
            path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system can: Windows and some network disks can't."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
