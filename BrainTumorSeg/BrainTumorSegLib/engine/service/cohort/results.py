"""A batch's folder of results: one folder a study, and a summary that is never more than a copy of what they say.

Each study's folder appears by one rename, whole, with what it came to (``study.json``) in it. So at any moment, also
after a kill, a study is done or not done and never half; and the summary can be written anew from the folders, whatever
a spreadsheet or a power cut has made of it.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.files import atomic_path, output_errors
from BrainTumorSegLib.engine.service.cohort.find import BATCH_FILE
from BrainTumorSegLib.engine.service.cohort.rows import COLUMNS, DONE, StudyRow
from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles
from BrainTumorSegLib.engine.temporary import SHARED_LOCK, TEMPORARY_PREFIX, Writer, temporary_beside

SCHEMA = 1
SUMMARY_NAME = "summary.csv"
RECORD_NAME = "study.json"
LOCK_NAME = f"{TEMPORARY_PREFIX}lock"
ORPHAN_PATIENCE_S = 60.0
"""How long to wait for a worker whose batch was killed: it ends at its next look at its input."""
_REMOTE_LEFTOVER_S = 24 * 3600.0
"""After this time a half-done study of another machine is taken for left over."""
_OTHERS_ARE_THERE = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}


@dataclass(frozen=True)
class Asked:
    """What a batch was asked to do with every study, as plain data, and by which weights (SHA-256 by name)."""

    settings: Mapping[str, Any]
    models: Mapping[str, str]
    program: str = __version__

    def differences(self, other: Asked) -> list[str]:
        """What differs, in words."""
        mine, its = self._by_name(), other._by_name()
        return [
            f"{name} {_word(its.get(name))} instead of {_word(mine.get(name))}"
            for name in sorted(mine.keys() | its.keys())
            if mine.get(name) != its.get(name)
        ]

    def _by_name(self) -> dict[str, Any]:
        models = {f"weights of {name}": sha256[:12] for name, sha256 in self.models.items()}
        return {**self.settings, **models, "version": self.program}


@dataclass(frozen=True)
class Record:
    """What a study's folder says of itself. batch: of which batch. inputs_key: see ``StudyFiles``."""

    batch: str
    inputs_key: str
    row: StudyRow


@dataclass(frozen=True)
class Results:
    """The folder of results of one batch. batch: its own id, the same as long as it is resumed."""

    folder: Path
    batch: str

    def done_row(self, study: StudyFiles) -> StudyRow | None:
        """The row of a study that is done, None where it is not.

        Raises InputError where the folder of that name holds something else: the result of other files, or no result.
        """
        target = self.folder / study.name
        record = read_record(target)
        if record is None:
            if target.exists():
                raise InputError(
                    f"{target} is there already, and is no result of a batch.", "Choose another folder for the results."
                )
            return None
        if record.batch != self.batch or record.row.status != DONE:
            return None
        if record.inputs_key != study.inputs_key():
            raise InputError(
                f"The result in {target} was made from other files, or they were changed since.",
                f"Choose another folder for the results, or remove {target} to have it done again.",
            )
        return record.row

    def write_failure(self, study: StudyFiles, row: StudyRow) -> None:
        """Keep what a study came to that failed. Raises OutputError."""
        with new_folder(self.folder) as temporary:
            publish(temporary, self.folder / study.name, Record(self.batch, "", row))

    def rows(self) -> Iterator[StudyRow]:
        """What every study's folder says, ordered by name."""
        for name in sorted(os.listdir(self.folder)):
            record = None if name.startswith(".") else read_record(self.folder / name)
            if record is not None and record.batch == self.batch:
                yield record.row


def open_results(folder: Path, asked: Asked, redo: bool) -> Results:
    """The results that this batch goes on with: those in the folder, or new ones. Makes the folder if needed.

    redo: begin anew in the same folder; each study's earlier result stays until it is done again. Raises InputError
    where the folder holds results of other settings, models or another version; OutputError if it can't be written.
    """
    with output_errors(folder / BATCH_FILE):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / BATCH_FILE
    if path.exists() and not redo:
        batch, earlier = _read_batch(path)
        if differences := earlier.differences(asked):
            raise InputError(
                f"{folder} holds results that were made otherwise: {'; '.join(differences)}.",
                "Choose another folder, ask as before, or have all done again (--redo, in Python resume=False).",
            )
        return Results(folder, batch)
    batch = uuid.uuid4().hex
    content = {"schema": SCHEMA, "batch": batch, **asdict(asked)}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return Results(folder, batch)


def _read_batch(path: Path) -> tuple[str, Asked]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return str(content["batch"]), Asked(dict(content["settings"]), dict(content["models"]), content["program"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} can't be read, so it is not known how the results beside it were made.",
            "Choose another folder, or have all of them done again (--redo, in Python resume=False).",
        ) from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises InputError where another batch holds it, OutputError if it can't be."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK_NAME, timeout=0, mode=SHARED_LOCK)
    with output_errors(folder / LOCK_NAME):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"Another batch is at work in {folder}.", "Wait for it, or choose another folder."
            ) from error
        except NotImplementedError as error:
            raise OutputError(
                f"The disk of {folder} can't lock files.", "Choose a folder on another disk for the results."
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_folder(parent: Path) -> Iterator[Path]:
    """A folder for results that are not whole yet; gone after the block unless it was published.

    Its name says which process of which machine makes it, so that what a killed one leaves is known.
    """
    path = temporary_beside(parent / "study")
    with output_errors(path):
        path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(temporary: Path, target: Path, record: Record) -> StudyRow:
    """Make a complete folder the study's, in one step, and say what the study came to.

    That is another's row where another process of this batch has done the study meanwhile. An earlier result, of
    another batch or a failure, is replaced. Raises OutputError.
    """
    with output_errors(target):
        with atomic_path(temporary / RECORD_NAME) as path:
            content = {
                "schema": SCHEMA,
                "batch": record.batch,
                "inputs_key": record.inputs_key,
                "row": asdict(record.row),
            }
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        while True:
            try:
                temporary.rename(target)
                return record.row
            except OSError as error:
                if error.errno not in _OTHERS_ARE_THERE:
                    raise
            earlier = read_record(target)
            if earlier is None:
                raise OutputError(
                    f"Can't write {target}: it is there already, and is no result of a batch.",
                    "Choose another folder for the results.",
                )
            if earlier.batch == record.batch and earlier.row.status == DONE:
                return earlier.row
            _set_aside(target)


def _set_aside(target: Path) -> None:
    """Take an earlier result out of the way; another process may have done so already."""
    aside = temporary_beside(target)
    with suppress(FileNotFoundError):
        target.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def read_record(folder: Path) -> Record | None:
    """What a study's folder says, None where it is no folder of a batch's results."""
    try:
        content = json.loads((folder / RECORD_NAME).read_bytes())
        return Record(str(content["batch"]), str(content["inputs_key"]), StudyRow.of(content["row"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def wait_for_orphans(folder: Path) -> None:
    """Wait until this machine's processes of an earlier batch have ended their studies.

    Raises InputError if one does not.
    """
    deadline = time.monotonic() + ORPHAN_PATIENCE_S
    for path, writer in _half_done(folder):
        while path.exists() and writer.is_at_work_here:
            if time.monotonic() > deadline:
                raise InputError(
                    f"Process {writer.pid} of an earlier batch is still at work in {folder}.", "Wait for it, or end it."
                )
            time.sleep(0.1)


def clear_leftovers(folder: Path) -> None:
    """Remove the folders that ended processes have left half done."""
    now_s = _now_of(folder)
    for path, writer in _half_done(folder):
        if writer.is_dead or not (writer.is_at_work_here or now_s - _changed_s(path, now_s) < _REMOTE_LEFTOVER_S):
            shutil.rmtree(path, ignore_errors=True)


def _half_done(folder: Path) -> list[tuple[Path, Writer]]:
    """The folders for results that are not whole, and whose each is."""
    found = ((path, Writer.of_name(path.name)) for path in folder.glob(f"{TEMPORARY_PREFIX}*") if path.is_dir())
    return [(path, writer) for path, writer in found if writer is not None]


def _now_of(folder: Path) -> float:
    """The time by the clock of the folder's disk, which stamps what lies there: this machine's may be another."""
    lock = folder / LOCK_NAME
    with suppress(OSError):
        os.utime(lock)
    return _changed_s(lock, 0.0)


def _changed_s(path: Path, otherwise_s: float) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return otherwise_s


class Summary:
    """``summary.csv``: written anew from the folders at the beginning and the end, a row appended as each study ends.

    A row is on the disk when ``add`` returns. Where the file can't be written, a spreadsheet may have it open, the
    rows are not lost: the folders hold them, and ``write`` tells at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / SUMMARY_NAME
        self._is_behind = False

    def write(self, rows: Iterable[StudyRow]) -> None:
        """Replace it by these rows. Raises OutputError."""
        with atomic_path(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows(asdict(row).values() for row in rows)
        self._is_behind = False

    def add(self, row: StudyRow) -> None:
        """Append a row."""
        if self._is_behind:
            return
        try:
            with self.path.open("a", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerow(asdict(row).values())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            self._is_behind = True


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "by default" if value is None else str(value)
