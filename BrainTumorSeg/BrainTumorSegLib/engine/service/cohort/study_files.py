"""One study of a cohort as files: its name, what may be its sequences, and why it can't be segmented, if so."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from BrainTumorSegLib.engine.study.endings import IMAGE_ENDINGS
from BrainTumorSegLib.engine.study.roles import Role

_WITH_DATA_BESIDE = (".nhdr", ".mhd")

_LONGEST_NAME = 100
# Names that a batch gives to its own files, and those that Windows keeps for devices.
_TAKEN = re.compile(r"(?i)(summary|batch|plan)\.(csv|html|json)|(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


@dataclass(frozen=True)
class StudyFiles:
    """One study. name: unique in its cohort, and the name of its folder of results.

    candidates: the files, or folders with one DICOM series, for each sequence; more than one is a problem. problem:
    a sentence why it can't be segmented, with what to do, "" where it can.
    """

    name: str
    candidates: Mapping[Role, tuple[Path, ...]]
    problem: str = ""

    @property
    def files(self) -> dict[Role, Path]:
        """The file of each sequence that is clear."""
        return {role: paths[0] for role, paths in self.candidates.items() if len(paths) == 1}

    def inputs_key(self) -> str:
        """Tells apart other files, and the same files changed since: of their places, sizes and times of change.

        Raises OSError for a file that can't be looked at.
        """
        digest = hashlib.sha256()
        for role, path in sorted(self.files.items()):
            for each in _belonging(path):
                found = each.stat()
                digest.update(
                    f"{role}|{os.path.realpath(each)}|{found.st_size}|{found.st_mtime_ns}\n".encode(errors="replace")
                )
        return digest.hexdigest()[:32]


def _belonging(path: Path) -> list[Path]:
    """The files that hold a sequence: one, a header with its data, or a series."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    if path.name.lower().endswith(_WITH_DATA_BESIDE):
        return sorted(path.parent.glob(f"{_without_wildcards(path.stem)}.*"))
    if path.name.lower().endswith(IMAGE_ENDINGS):
        return [path]
    return sorted(each for each in path.parent.iterdir() if each.is_file())  # a series, named by one of its files


def _without_wildcards(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def is_image(path: Path) -> bool:
    """Whether what a folder lists is a volume by its name; a link to a file that is not there too."""
    return path.name.lower().endswith(IMAGE_ENDINGS) and (path.is_file() or not path.exists())


def stem_of(path: Path) -> str:
    """A volume's name without its ending, both of its endings where it has two."""
    ending = next((each for each in IMAGE_ENDINGS if path.name.lower().endswith(each)), "")
    return path.name[: len(path.name) - len(ending)]


def unique_names(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Names for folders, one for each (name wished, what it is), never two alike on any file system.

    Where two wish for one name both get a part of the SHA-256 of what they are. What no folder can be called is
    replaced by "_". A name that was given stays as it is when it is given again, as from a list of ``batch --list``.

    >>> unique_names([("site 1/anna", "a"), ("bert", "b")])
    ['site_1__anna', 'bert']
    """
    clean = [_folder_name(name) for name, _ in wanted]
    counts = Counter(name.casefold() for name in clean)
    return [
        name if counts[name.casefold()] == 1 and not _TAKEN.fullmatch(name) else _marked(name, identity)
        for name, (_, identity) in zip(clean, wanted, strict=True)
    ]


def _folder_name(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)  # macOS writes "é" as two letters
    clean = re.sub(r"[^\w.+=@,-]", "_", composed.replace("/", "__")).lstrip(".-=+@") or "study"
    clean = clean.rstrip(".")
    return clean if len(clean) <= _LONGEST_NAME else _marked(clean, name)


def _marked(name: str, identity: str) -> str:
    mark = f"-{_short_hash(identity)}"
    return name[: _LONGEST_NAME - len(mark)] + mark


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
