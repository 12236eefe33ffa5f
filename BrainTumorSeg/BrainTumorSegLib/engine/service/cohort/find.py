"""Which files of a folder make which studies: volumes by their names, DICOM series by their headers, in any nesting."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.paths import is_utf8, shown
from BrainTumorSegLib.engine.service.cohort.study_files import (
    StudyFiles,
    is_image,
    stem_of,
    unique_names,
)
from BrainTumorSegLib.engine.study.endings import IMAGE_ENDINGS
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import SERIES_DESCRIPTION, name_without_sequence, role_of

DICOM_ENDINGS = (".dcm", ".ima")
BATCH_FILE = "batch.json"
"""Lies in every folder of results; such a folder is never searched for studies."""

NO_FLAIR = "No file is called FLAIR. Rename the FLAIR file, for instance to flair.nii.gz."

# A mask has its image's name and a word like these: it is no sequence.
_LABEL = re.compile(
    r"(?i)(?<![a-z0-9])(seg|segm\w*|masks?|labels?|labelmap|roi|lesions?|truth|gt|reference|prob\w*)(?![a-z0-9])"
)
# What BIDS says of how a sequence was made: it differs between the sequences of one session.
_MANNER = re.compile(r"_(?:acq|rec|ce|part|echo|inv|mt|flip)-[A-Za-z0-9]+")
_BIDS_PERSON = re.compile(r"sub-[A-Za-z0-9]+(?=_)")
_BIDS_OTHER_FOLDERS = {"derivatives", "sourcedata", "code", "stimuli"}


@dataclass(frozen=True)
class _Folder:
    """One folder of the tree. way: the names from the root to it. problem: why it could not be looked at."""

    path: Path
    way: tuple[str, ...]
    files: tuple[Path, ...]
    problem: str = ""


@dataclass
class _Group:
    """The volumes that agree in all but the sequence. rest: what their names share. unused: none of our sequences."""

    rest: str
    candidates: dict[Role, list[Path]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Draft:
    """A study before its name is known to be unique. identity: what it is, never the same for two studies."""

    wish: str
    identity: str
    candidates: Mapping[Role, tuple[Path, ...]]
    problem: str = ""


def find_studies(folder: Path, leave_out: Path | None = None) -> tuple[StudyFiles, ...]:
    """The studies of a folder, ordered by name.

    Volumes (NIfTI, NRRD, MetaImage) of one folder are one study if their names agree in all but the sequence; a
    folder that is named after a sequence lends it to what lies in it. DICOM series are grouped by their study's UID
    over all folders. leave_out: a folder that is not searched, such as the one for the results. Raises InputError if
    the folder is missing or holds no study.
    """
    if not folder.is_dir():
        what = f"{folder} is neither a folder nor a file." if folder.exists() else f"There is no folder {folder}."
        raise InputError(what, "Choose a folder with one subfolder for each study.")
    by_place: dict[tuple[str, ...], dict[str, _Group]] = defaultdict(dict)
    drafts: list[Draft] = []
    with_dicom: list[tuple[Path, tuple[str, ...], Role | None]] = []
    for here in _walk(folder, leave_out):
        if here.problem:
            drafts.append(Draft("/".join(here.way), str(here.path), {}, here.problem))
        images = [path for path in here.files if is_image(path)]
        place, role = _place_and_role(here.way, images)
        for path in images:
            _sort_in(by_place[place], path, role)
        if len(images) < len(here.files) and any(map(_may_be_dicom, here.files)):
            with_dicom.append((here.path, place, role))
    for place, groups in by_place.items():
        drafts += _drafts(folder, place, [group for group in groups.values() if group.candidates])
    if with_dicom:
        from BrainTumorSegLib.engine.service.cohort.dicom_studies import dicom_drafts

        drafts += dicom_drafts(folder, with_dicom)
    return _named(folder, drafts)


def _named(folder: Path, drafts: list[Draft]) -> tuple[StudyFiles, ...]:
    if not drafts:
        endings = ", ".join(IMAGE_ENDINGS)
        raise InputError(
            f"The folder {folder} holds no study.",
            f"Put one subfolder per study into it, with files ({endings}) or DICOM.",
        )
    names = unique_names([(draft.wish, draft.identity) for draft in drafts])
    studies = (
        StudyFiles(name, d.candidates, _of_the_paths(d.candidates) or d.problem)
        for name, d in zip(names, drafts, strict=True)
    )
    return tuple(sorted(studies, key=lambda study: study.name))


def _of_the_paths(candidates: Mapping[Role, tuple[Path, ...]]) -> str:
    """Why files with these paths can't be read, "" where they may."""
    for path in (path for paths in candidates.values() for path in paths):
        if not is_utf8(path):
            return f"The name of {shown(path)} is in another character set than UTF-8. Rename it or its folder."
        if not path.exists():
            return f"{path} is a link to a file that is not there. Bring that file, or remove the link."
    return ""


def _walk(root: Path, leave_out: Path | None) -> Iterator[_Folder]:
    """Every folder below the root, hidden ones, results of a batch and a second way to one folder left out."""
    refused: list[_Folder] = []

    def refuse(error: OSError) -> None:
        path = Path(error.filename)
        text = f"Its folder can't be read: {error.strerror}. Change its permissions, or copy it again."
        refused.append(_Folder(path, path.relative_to(root).parts, (), text))

    seen = {str(leave_out.resolve())} if leave_out is not None else set()
    for parent, names, files in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(parent)
        real = os.path.realpath(here)
        if real in seen or BATCH_FILE in files:
            names.clear()
            continue
        seen.add(real)
        is_bids = "dataset_description.json" in files
        names[:] = sorted(each for each in names if not (each[0] == "." or (is_bids and each in _BIDS_OTHER_FOLDERS)))
        yield _Folder(
            here, here.relative_to(root).parts, tuple(here / each for each in sorted(files) if each[0] != ".")
        )
    yield from refused


def _place_and_role(way: tuple[str, ...], images: list[Path]) -> tuple[tuple[str, ...], Role | None]:
    """Where a folder's files belong, and the sequence that the folder's name says: "anna" and T1 for anna/T1.

    BIDS's folder anat is passed over. A folder called T1 that holds a FLAIR is a study, not a sequence.
    """
    role = _role(way[-1]) if way and not name_without_sequence(way[-1]) else None
    if role is not None and all(_role(stem_of(path)) in (None, role) for path in images):
        return way[:-1], role
    return (way[:-1] if way and way[-1] == "anat" else way), None


def _role(name: str) -> Role | None:
    return None if _LABEL.search(name.replace("_", " ")) else role_of({SERIES_DESCRIPTION: name})


def _sort_in(groups: dict[str, _Group], path: Path, of_folder: Role | None) -> None:
    stem = stem_of(path)
    role = _role(stem) or (None if _LABEL.search(stem.replace("_", " ")) else of_folder)
    if role is None:
        return
    rest = name_without_sequence(_MANNER.sub("", stem) if _BIDS_PERSON.match(stem) else stem)
    groups.setdefault(rest, _Group(rest)).candidates[role].append(path)


def _drafts(root: Path, place: tuple[str, ...], groups: list[_Group]) -> Iterator[Draft]:
    """The studies of one place: one for each group, or one that is refused where the groups look like one study."""
    with_flair = [group for group in groups if Role.FLAIR in group.candidates]
    if len(with_flair) == 1 < len(groups) and (place or not with_flair[0].rest):
        yield _mixed(root, place, groups)
        return
    for group in groups:
        wish = _wish(root, place, group.rest, len(groups) == 1)
        candidates = {role: tuple(paths) for role, paths in group.candidates.items()}
        yield Draft(wish, f"{'/'.join(place)}|{group.rest}", candidates, problem_of(candidates, NO_FLAIR))


def _mixed(root: Path, place: tuple[str, ...], groups: list[_Group]) -> Draft:
    listed = ", ".join(sorted(group.rest or "(no name)" for group in groups))
    candidates: dict[Role, tuple[Path, ...]] = {}
    for group in groups:
        for role, paths in group.candidates.items():
            candidates[role] = (*candidates.get(role, ()), *paths)
    text = f"Its files are of different patients or sessions by their names: {listed}. Part them."
    return Draft("/".join(place) or root.resolve().name, "/".join(place), candidates, text)


def problem_of(candidates: Mapping[Role, tuple[Path, ...]], without_flair: str) -> str:
    """Why a study with these candidates can't be segmented, "" where it can."""
    if Role.FLAIR not in candidates:
        return without_flair
    doubled = [role.label for role, paths in candidates.items() if len(paths) > 1]
    return f"Several files are called {' and '.join(doubled)}. Leave one of each." if doubled else ""


def _wish(root: Path, place: tuple[str, ...], rest: str, is_alone: bool) -> str:
    """The name that a user expects: the folder's, the files', or both where a folder holds several studies."""
    if not place:
        return rest or root.resolve().name
    if _BIDS_PERSON.match(f"{rest}_"):
        return rest
    if is_alone or not rest or rest.casefold() == place[-1].casefold():
        return "/".join(place)
    return "/".join((*place, rest))


def _may_be_dicom(path: Path) -> bool:
    """DICOM by its ending, or by what it begins with; the directory file of a medium is no image."""
    if path.name.upper() == "DICOMDIR" or path.name.lower().endswith(IMAGE_ENDINGS) or not path.is_file():
        return False
    return path.suffix.lower() in DICOM_ENDINGS or begins_as_dicom(path)


def begins_as_dicom(path: Path) -> bool:
    """Whether a file says that it is DICOM."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False
