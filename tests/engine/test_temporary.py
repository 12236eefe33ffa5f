"""What killed processes leave is cleared, what living ones write is not, and sets are whole or the earlier ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import killed_writers
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.temporary import (
    TEMPORARY_PREFIX,
    Move,
    Writer,
    clear_leftovers,
    temporary_beside,
    write_journals,
)
from killed_writers import CLEARING, NAMES, clear_by_next_run, contents, in_child, temporaries, write_set

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child; Windows has no fork")


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])  # which some disks don't have
@pytest.mark.parametrize("earlier", [(), NAMES, NAMES[:2]], ids=["first", "again", "one more"])
@pytest.mark.parametrize("clear", list(CLEARING))
def test_killed_anywhere_a_set_is_whole_or_the_earlier_one(
    tmp_path: Path, links: bool, earlier: tuple[str, ...], clear: str
) -> None:
    old, new = dict.fromkeys(earlier, "old"), dict.fromkeys(NAMES, "new")
    wanted = {"folder": str(tmp_path), "links": links, "earlier": earlier, "clear": clear}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, killed_writers.__file__, json.dumps(wanted)]
    ends = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    *killed, last = (end["status"] for end in ends)
    assert set(killed) == {-signal.SIGKILL}
    assert last == 0, "the last child was let be"
    for end in ends:
        if links:
            assert set(end["left"]) >= set(earlier), "no earlier file is gone from its name for a moment"
        assert end["cleared"] in (old, new)
        assert end["temporaries"] == []
    outcomes = [end["cleared"] == new for end in ends]
    assert outcomes[-1]
    assert outcomes == sorted(outcomes), "from one point on, the new set"
    assert outcomes.count(True) > len(NAMES), "killed between the renames too"


def test_what_somebody_has_changed_since_is_not_replaced(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text("old")
    moved: list[int] = []

    def stop_after_one_rename() -> None:
        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if event == "os.rename" and not str(arguments[1]).startswith(TEMPORARY_PREFIX):
                moved.append(1)
                if len(moved) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        write_set(tmp_path, "new")

    assert in_child(stop_after_one_rename) == -signal.SIGKILL
    (tmp_path / NAMES[2]).write_text("corrected by hand")
    clear_leftovers(tmp_path)
    assert contents(tmp_path)[NAMES[2]] == "corrected by hand"
    assert contents(tmp_path)[NAMES[1]] == "old"
    assert temporaries(tmp_path) == []


def test_a_living_process_keeps_its_files(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "mask.nrrd") as temporary:
        temporary.write_text("half")
        assert clear_leftovers(tmp_path) == 0
        assert in_child(lambda: clear_by_next_run(tmp_path)) == 0
        assert temporary.read_text() == "half"


def test_the_number_of_a_dead_process_may_be_another_ones_by_now(tmp_path: Path) -> None:
    own = temporary_beside(tmp_path / "mask.nrrd")
    writer = Writer.of_name(own.name)
    assert writer is not None
    assert not writer.is_dead
    assert Writer(writer.machine, writer.pid, writer.started + 100_000).is_dead
    assert not Writer("0" * 8, writer.pid, writer.started + 100_000).is_dead, "another machine's: nobody knows"


def test_a_process_that_its_parent_has_not_asked_after_yet_is_dead(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, temporary_beside(tmp_path / "mask.nrrd").name.encode())
        os._exit(0)
    writer = Writer.of_name(os.read(reading, 1000).decode())
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert writer is not None
    assert writer.pid == pid
    assert writer.is_dead
    os.waitpid(pid, 0)
    assert writer.is_dead


@pytest.mark.parametrize(
    "name",
    [
        "tumour.seg.nrrd",
        ".braintumorseg-lock",
        ".braintumorseg-0123abcd-12-3456abcd",
        ".braintumorseg-" + "9" * 300,
        ".braintumorseg-0123abcd-99999999999999-1-0123abcd.nrrd",
    ],
)
def test_other_files_are_no_leftovers(tmp_path: Path, name: str) -> None:
    assert Writer.of_name(name) is None


def test_the_folder_s_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", ".hidden", ".braintumorseg-lock"):
        (tmp_path / name).write_text("mine")
    assert clear_leftovers(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 3
    assert clear_leftovers(tmp_path / "missing") == 0


def leave_journal(folder: Path, target: str) -> None:
    """A journal and its temporary file by a process that is dead by now."""

    def leave() -> None:
        temporary = temporary_beside(folder / "x.json")
        temporary.write_text("planted")
        journal = temporary_beside(folder / "any.set")
        journal.write_text(json.dumps([[temporary.name, target, temporary_beside(folder / "x").name, None]]))

    assert in_child(leave) == 0


@pytest.mark.parametrize("target", ["../victim", "/tmp/victim", "", ".", "..", "a/../../victim", ".braintumorseg-lock"])
def test_a_planted_journal_moves_nothing_out_of_its_folder(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    leave_journal(folder, target.replace("/tmp", str(tmp_path)))
    clear_leftovers(folder)
    assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("content", ["", "[", "{}", "[1]", '[["a"]]', "null", '[["a", "b", "c", 7]]'])
def test_a_journal_that_is_not_whole_counts_as_none(tmp_path: Path, content: str) -> None:
    assert in_child(lambda: temporary_beside(tmp_path / "any.set").write_text(content) and None) == 0
    clear_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_set_in_several_folders_has_a_journal_in_each(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    journals = write_journals([Move.onto(temporary_beside(each / "x.json"), each / "x.json") for each in folders])
    assert [journal.parent for journal in journals] == folders
