"""A list of studies as a table: written for a user to correct, and read however a spreadsheet has saved it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles, unique_names
from BrainTumorSegLib.engine.study.roles import Role

COLUMNS = ("id", *(role.value for role in Role))
OR = " | "
"""Stands between several candidates in one cell: leave one of them."""

_SEPARATORS = (",", ";", "\t")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def write_table(path: Path, studies: Iterable[StudyFiles]) -> None:
    """Write the studies, one a row, with what is ambiguous. Raises OutputError.

    Paths are written in full: a reader takes others as relative to the table's own folder.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*COLUMNS, "problem"])
        for study in studies:
            cells = [OR.join(str(file.absolute()) for file in study.candidates.get(role, ())) for role in Role]
            writer.writerow([study.name, *cells, study.problem])


def read_table(path: Path) -> tuple[StudyFiles, ...]:
    """The studies of a table with the columns id, flair and, if wanted, t1 and t1c; others are passed over.

    Paths are relative to the table's folder. UTF-8, UTF-16 or Windows' own encoding; commas, semicolons or tabs. What
    is wrong in one row is that study's problem. Raises InputError if this is no such table.
    """
    rows = _rows(path)
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    for needed in COLUMNS[:2]:
        if needed not in header:
            raise InputError(
                f"The list of studies {path} has no column {needed!r}.",
                f"Its first row must name the columns {', '.join(COLUMNS)}.",
            )
    cells = [dict(zip(header, (cell.strip() for cell in row), strict=False)) for row in rows[1:] if any(row)]
    if not cells:
        raise InputError(f"The list of studies {path} is empty.", "Give each study a row.")
    counts = Counter(row["id"] for row in cells)
    names = unique_names([(row["id"] or "study", f"{number}|{row}") for number, row in enumerate(cells)])
    return tuple(_study(name, row, path.parent, counts) for name, row in zip(names, cells, strict=True))


def _study(name: str, row: dict[str, str], folder: Path, counts: Counter[str]) -> StudyFiles:
    candidates = {
        role: tuple(folder / part.strip() for part in row.get(role.value, "").split(OR.strip()) if part.strip())
        for role in Role
    }
    candidates = {role: paths for role, paths in candidates.items() if paths}
    return StudyFiles(name, candidates, _problem(row, candidates, counts))


def _problem(row: dict[str, str], candidates: dict[Role, tuple[Path, ...]], counts: Counter[str]) -> str:
    if not row["id"]:
        return "Its row has no id. Give each study an id of its own."
    if counts[row["id"]] > 1:
        return f"The id {row['id']} stands in {counts[row['id']]} rows. Give each study an id of its own."
    if Role.FLAIR not in candidates:
        return "Its row names no FLAIR. Fill in the column flair."
    for role, paths in candidates.items():
        if len(paths) > 1:
            return f"Its row names {len(paths)} files for {role.label}. Leave one of them."
        if not paths[0].exists():
            return f"{role.label}: {paths[0]} does not exist. Correct its path in the list of studies."
    if len({paths[0].resolve() for paths in candidates.values()}) < len(candidates):
        return "Its row names one file for two sequences. Leave one of them."
    return ""


def _rows(path: Path) -> Sequence[Sequence[str]]:
    try:
        text = _decoded(path.read_bytes())
        first = text.split("\n", 1)[0]
        separator = max(_SEPARATORS, key=first.count)
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except OSError as error:
        raise InputError(f"The list of studies {path} can't be read: {error.strerror}.", "Check the path.") from error
    except (UnicodeError, csv.Error) as error:
        raise InputError(
            f"The list of studies {path} is no table: {error}.", "Save it as CSV, in UTF-8 and with commas."
        ) from error


def _decoded(content: bytes) -> str:
    if content.startswith(_UTF_16):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")
