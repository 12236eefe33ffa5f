"""A list of studies as a table: written for a user to correct, and read however a spreadsheet has saved it."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError, OutputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.paths import shown
from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles, unique_names
from BrainTumorSegLib.engine.study.roles import Role

COLUMNS = ("id", *(role.value for role in Role))
OR = " | "
"""Stands between several candidates in one cell: leave one of them."""
IN_DOUBT = "?"
"""Stands beside the files of a study whose row alone would look all right, such as those of two patients."""

_SEPARATORS = (",", ";", "\t")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def write_table(path: Path, studies: Iterable[StudyFiles]) -> None:
    """Write the studies, one a row, with what is ambiguous.

    Paths are written in full: a reader takes others as relative to the table's own folder. Raises OutputError, also
    where another table is there: it may hold a user's corrections.
    """
    content = _text(studies).encode()
    if path.is_file() and path.read_bytes() != content:
        raise OutputError(
            f"Can't write {path}: it is there already with other content, perhaps corrections.",
            "Give it instead of the folder to go by it, or move it away to have the list written anew.",
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _text(studies: Iterable[StudyFiles]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([*COLUMNS, "problem"])
    for study in studies:
        paths = [[shown(file.absolute()) for file in study.candidates.get(role, ())] for role in Role]
        if study.problem and len(paths[0]) == 1 and all(len(each) <= 1 for each in paths):
            paths = [[*each, IN_DOUBT] if each else [] for each in paths]
        writer.writerow([study.name, *map(OR.join, paths), study.problem])
    return stream.getvalue()


def read_table(path: Path) -> tuple[StudyFiles, ...]:
    """The studies of a table with the columns id, flair and, if wanted, t1 and t1c; others are passed over.

    Paths are relative to the table's folder. UTF-8, UTF-16 or Windows' own encoding; commas, semicolons or tabs. What
    is wrong in one row is that study's problem. Raises InputError if this is no such table.
    """
    rows = [row for row in _rows(path) if any(row)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    for column in COLUMNS:
        advice = f"Its first row must name the columns {', '.join(COLUMNS)}, each once."
        if column in COLUMNS[:2] and column not in header:
            raise InputError(f"The list of studies {path} has no column {column!r}.", advice)
        if header.count(column) > 1:
            raise InputError(f"The list of studies {path} has two columns {column!r}.", advice)
    cells = [dict(zip(header, (cell.strip() for cell in row), strict=False)) for row in rows[1:]]
    if not cells:
        raise InputError(f"The list of studies {path} is empty.", "Give each study a row.")
    counts = Counter(row["id"] for row in cells)
    names = unique_names([(row["id"] or "study", f"{number}|{row}") for number, row in enumerate(cells)])
    return tuple(_study(name, row, path.parent, counts) for name, row in zip(names, cells, strict=True))


def _study(name: str, row: dict[str, str], folder: Path, counts: Counter[str]) -> StudyFiles:
    candidates = {role: paths for role in Role if (paths := _paths(folder, row.get(role.value, "")))}
    return StudyFiles(name, candidates, _problem(row, candidates, counts))


def _paths(folder: Path, cell: str) -> tuple[Path, ...]:
    """The files that a cell names; the line that parts them may also stand in the name of one."""
    if cell and os.path.exists(folder / cell):  # False too for what can be no path
        return (folder / cell,)
    return tuple(folder / part.strip() for part in cell.split(OR.strip()) if part.strip())


def _problem(row: dict[str, str], candidates: dict[Role, tuple[Path, ...]], counts: Counter[str]) -> str:
    if not row["id"]:
        return "Its row has no id. Give each study an id of its own."
    if counts[row["id"]] > 1:
        return f"The id {row['id']} stands in {counts[row['id']]} rows. Give each study an id of its own."
    if Role.FLAIR not in candidates:
        return "Its row names no FLAIR. Fill in the column flair."
    for role, paths in candidates.items():
        if paths[-1].name == IN_DOUBT:
            return f"Its row is in doubt ({IN_DOUBT}). Leave the files of one patient and session, without the mark."
        if len(paths) > 1:
            return f"Its row names {len(paths)} files for {role.label}. Leave one of them."
        if not os.path.exists(paths[0]):
            return f"{role.label}: {paths[0]} does not exist. Correct its path in the list of studies."
    if len({paths[0].resolve() for paths in candidates.values()}) < len(candidates):
        return "Its row names one file for two sequences. Leave one of them."
    return ""


def _rows(path: Path) -> Sequence[Sequence[str]]:
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise InputError(f"The list of studies {path} can't be read: {error.strerror}.", "Check the path.") from error
    except UnicodeError as error:
        raise InputError(
            f"The list of studies {path} is no table: it holds no text.",
            "Give a folder of studies, or a CSV that lists them: a spreadsheet can save itself as one.",
        ) from error
    separator = max(_SEPARATORS, key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    begun = 0
    try:
        for row in reader:
            rows.append(row)
            begun = reader.line_num
    except csv.Error as error:
        raise InputError(
            f"The list of studies {path} is no table from line {begun + 1}: a quotation mark there has no partner.",
            "Correct that line, or save the list again as CSV.",
        ) from error
    return rows


def _decoded(content: bytes) -> str:
    if content.startswith(_UTF_16):
        return content.decode("utf-16")
    if b"\0" in content:
        raise UnicodeError("a zero byte")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")
