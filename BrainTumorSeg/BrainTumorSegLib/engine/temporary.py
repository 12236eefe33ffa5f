"""Files that are only half written: named after the process that writes them, so that those of a dead one can be told.

A killed process clears nothing up. Whoever comes next does: what it left is removed, and a set of files that it had
begun to rename is completed, so that a whole set appears or the earlier one stays.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TEMPORARY_PREFIX = ".braintumorseg-"
"""Begins the name of every file that is only half written."""

SHARED_LOCK = 0o666
"""Permissions of a lock file: whoever may write into its folder has to be able to wait for it, whoever made it."""

_NAME = re.compile(
    rf"{re.escape(TEMPORARY_PREFIX)}([0-9a-f]{{8}})-([0-9]{{1,9}})-([0-9]{{1,20}})-[0-9a-f]{{8}}(?:\..*)?"
)
_JOURNAL_SUFFIX = ".set"
_LONGEST_SUFFIX = 10
_CLOCK_STEP_S = 60
_ENDED = (b"Z", b"X")
"""States of a process that has ended and only waits for its parent to ask how."""


@dataclass(frozen=True)
class Writer:
    """The process that a temporary file belongs to.

    machine: stands for the computer and, in containers, the process numbers' own space. started: in the system's own
    count, 0 where it is not known.
    """

    machine: str
    pid: int
    started: int

    @classmethod
    def of_name(cls, name: str) -> Writer | None:
        """Whose file this is by its name; None for a file that is no temporary one."""
        found = _NAME.fullmatch(name)
        return cls(found[1], int(found[2]), int(found[3])) if found else None

    @property
    def is_dead(self) -> bool:
        """Whether it is known to have ended; False for a process of another machine or where that can't be known."""
        return self.machine == _machine() and not _is_running(self.pid, self.started)

    @property
    def is_at_work_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.machine == _machine() and _is_running(self.pid, self.started)


@dataclass(frozen=True)
class Move:
    """One file of a set: the complete temporary one, its target beside it, and the name that keeps the earlier target.

    earlier: size in bytes and time of change (ns) of the target that is replaced; None where there is none.
    """

    temporary: Path
    target: Path
    kept: Path
    earlier: tuple[int, int] | None

    @classmethod
    def onto(cls, temporary: Path, target: Path) -> Move:
        """The move that makes ``temporary`` the target. Raises OSError where the target can't be looked at."""
        return cls(temporary, target, temporary_beside(target), _stamp(target))

    def keep_earlier(self) -> None:
        """Keep the target under another name too; where links are unknown, under that name alone. Raises OSError."""
        if self.earlier is None:
            return
        try:
            os.link(self.target, self.kept)
        except OSError:
            self.target.replace(self.kept)

    def put_back(self) -> None:
        """Make the target what it was. Raises OSError."""
        if self.earlier is None:
            self.target.unlink(missing_ok=True)
        elif self.kept.exists():
            self.kept.replace(self.target)

    def can_be_finished(self) -> bool:
        """Whether the target is still the earlier one (or none), or the move is done already."""
        return not self.temporary.exists() or _stamp(self.target) in (None, self.earlier)


def temporary_beside(target: Path) -> Path:
    """A fresh name in the target's folder that ends as the target does: writers choose the format by the suffix."""
    suffix = "".join(each for each in target.suffixes[-2:] if len(each) <= _LONGEST_SUFFIX)
    pid = os.getpid()
    owner = f"{_machine()}-{pid}-{_own_start(pid)}"
    return target.with_name(f"{TEMPORARY_PREFIX}{owner}-{uuid.uuid4().hex[:8]}{suffix}")


def write_journals(moves: Sequence[Move]) -> tuple[Path, ...]:
    """Say beside the targets what is about to be renamed, one file a folder; once it is there, the set counts as whole.

    Names alone are written: no journal, whoever made it, can move a file of another folder. Raises OSError.
    """
    journals = []
    for folder in dict.fromkeys(move.target.parent for move in moves):
        rows = [
            (move.temporary.name, move.target.name, move.kept.name, move.earlier)
            for move in moves
            if move.target.parent == folder
        ]
        journals.append(temporary_beside(folder / f"any{_JOURNAL_SUFFIX}"))
        with journals[-1].open("w", encoding="ascii") as stream:
            json.dump(rows, stream)
            stream.flush()
            os.fsync(stream.fileno())
    return tuple(journals)


def clear_leftovers(folder: Path) -> int:
    """Remove what dead processes of this machine left in a folder, and complete the sets that they had begun to rename.

    Returns how many files they had left. Passes over what can't be read or removed.
    """
    left = _left_in(folder)
    for path in left:
        if path.suffix == _JOURNAL_SUFFIX:
            with contextlib.suppress(OSError):
                _finish(_read_journal(path))
    for path in left:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return len(left)


def _left_in(folder: Path) -> list[Path]:
    try:
        names = [name for name in os.listdir(folder) if name.startswith(TEMPORARY_PREFIX)]
    except OSError:
        return []
    writers = {name: Writer.of_name(name) for name in names}
    return [folder / name for name, writer in writers.items() if writer is not None and writer.is_dead]


def _read_journal(path: Path) -> tuple[Move, ...]:
    """The moves of a journal; none if it is not complete, or is none of that process's."""
    owner = Writer.of_name(path.name)
    try:
        rows = json.loads(path.read_text(encoding="ascii"))
        moves = tuple(_move(path.parent, owner, *row) for row in rows)
    except (ValueError, TypeError):
        return ()
    return moves


def _move(
    folder: Path, owner: Writer | None, temporary: str, target: str, kept: str, earlier: list[int] | None
) -> Move:
    """Raises ValueError for a name that is not of this folder or, of a temporary file, not of this process."""
    is_own = Writer.of_name(temporary) == Writer.of_name(kept) == owner
    if not is_own or Path(target).name != target or target in ("", ".", "..") or target.startswith(TEMPORARY_PREFIX):
        raise ValueError(f"no move within a folder: {target!r}")
    stamp = None if earlier is None else (int(earlier[0]), int(earlier[1]))
    return Move(folder / temporary, folder / target, folder / kept, stamp)


def _finish(moves: Sequence[Move]) -> None:
    """Complete a set, unless somebody has changed one of its targets since: then the earlier ones stay. OSError."""
    if all(move.can_be_finished() for move in moves):
        for move in moves:
            if move.temporary.exists():
                move.temporary.replace(move.target)
        return
    for move in moves:
        if move.kept.exists() and not move.target.exists():
            move.kept.replace(move.target)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


@functools.cache
def _machine() -> str:
    names = platform.node()
    with contextlib.suppress(OSError):
        names += os.readlink("/proc/self/ns/pid")  # containers may share a host's name, but number their own processes
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:8]


@functools.cache
def _own_start(pid: int) -> int:
    return _started(pid) or 0


def _is_running(pid: int, started: int) -> bool:
    """Whether that very process still runs, and not another one that got its number. True where it can't be known."""
    if os.name == "posix":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True  # somebody else's
    found = _started(pid)
    return not started or found is None or abs(found - started) <= (0 if _counts_ticks() else _CLOCK_STEP_S)


def _started(pid: int) -> int | None:
    """When a process began: on Linux in ticks since the machine's start, which no change of its clock moves.

    Elsewhere in seconds. None where that can't be known, -1 if there is no such process.
    """
    if _counts_ticks():
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return -1 if state in _ENDED else int(fields[18])
        except OSError:
            return None
    try:
        import psutil
    except ImportError:
        return None
    try:
        return int(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return -1
    except psutil.Error:
        return None


def _counts_ticks() -> bool:
    return os.path.isfile("/proc/self/stat")
