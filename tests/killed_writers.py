"""Writers of a set of files, killed at each of their file operations in turn; a program, which prints what they left.

A program of its own: a fork of the tests' process, with all that it has loaded, takes ten times as long.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from BrainTumorSegLib.engine.files import atomic_path, atomic_paths
from BrainTumorSegLib.engine.temporary import TEMPORARY_PREFIX, clear_leftovers

NAMES = ("tumour.seg.nrrd", "report.json", "preview.png")
FILE_EVENTS = {"open", "os.rename", "os.link", "os.remove"}
MOST_OPERATIONS = 200


def in_child(work: Callable[[], None]) -> int:
    """Does it in a process of its own; returns its exit status, negative where it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the status tells
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def contents(folder: Path) -> dict[str, str]:
    """The texts of a folder's files, temporary ones left out."""
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(TEMPORARY_PREFIX)}


def temporaries(folder: Path) -> list[str]:
    """The names of a folder's temporary files."""
    return sorted(name for name in os.listdir(folder) if name.startswith(TEMPORARY_PREFIX))


def write_set(folder: Path, text: str) -> None:
    """One set of three files."""
    with atomic_paths([folder / name for name in NAMES]) as paths:
        for path in paths:
            path.write_text(text)


def clear_by_next_run(folder: Path) -> None:
    """As the next run into this folder does."""
    with atomic_path(folder / "another.txt") as path:
        path.write_text("")
    (folder / "another.txt").unlink()


CLEARING: dict[str, Callable[[Path], object]] = {"cleared": clear_leftovers, "next run": clear_by_next_run}


def killed_before(count: int, work: Callable[[], None]) -> Callable[[], None]:
    """The work, ended by SIGKILL before its file operation number ``count``."""

    def run() -> None:
        left = count

        def watch(event: str, _arguments: object) -> None:
            nonlocal left
            if event in FILE_EVENTS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        work()

    return run


def killed_everywhere(folder: Path, earlier: list[str], clear: Callable[[Path], object]) -> list[dict[str, Any]]:
    """For each operation: the writer's exit status, what lay there then, and what after clearing. Ends with exit 0."""
    ends: list[dict[str, Any]] = []
    for count in range(MOST_OPERATIONS):
        one = folder / str(count)
        one.mkdir()
        for name in earlier:
            (one / name).write_text("old")
        status = in_child(killed_before(count, lambda one=one: write_set(one, "new")))
        left = contents(one)
        clear(one)
        ends.append({"status": status, "left": left, "cleared": contents(one), "temporaries": temporaries(one)})
        if status == 0:
            break
    return ends


def _refuse(*_paths: object) -> None:
    raise OSError("no links here")


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    if not wanted["links"]:
        os.link = _refuse
    json.dump(killed_everywhere(Path(wanted["folder"]), wanted["earlier"], CLEARING[wanted["clear"]]), sys.stdout)
