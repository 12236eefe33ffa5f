"""DICOM series: which volumes a folder's files hold, the one that plays a role, and its images as one volume."""

from __future__ import annotations

import filecmp
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.acceptance import MINIMUM_SLICES
from BrainTumorSegLib.engine.study.frames import DamagedFileError, Frame, is_dicom_file, read_frames
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.pixels import check_layout, read_pixels
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.engine.study.sequences import SERIES_DESCRIPTION, contradiction, is_volume, role_of
from BrainTumorSegLib.engine.study.stack import places, stack

# So many files of each folder beside are looked into for more of a series, the first and the last among them.
_PROBES = 16
_PROBED_BYTES = 1 << 16

_ECHO = "echo time (ms)"
# Echo times of one sequence differ by less than this part, through rounding.
_SAME_ECHO = 0.1


@dataclass(frozen=True)
class DicomVolume:
    """Images of one series that belong together, at most one for each place unless nothing in their headers parts them.

    part: what tells it from other volumes of its series ("echo time (ms) 90"), "" where it is the only one. damaged:
    how many DICOM files beside its own could not be read and belong to it, or to no series of which one can be.
    """

    frames: tuple[Frame, ...]
    part: str
    damaged: int

    @property
    def uid(self) -> str:
        """The SeriesInstanceUID."""
        return self.frames[0].uid

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, in the order in which they were found."""
        return tuple(dict.fromkeys(frame.path for frame in self.frames))

    @property
    def study_uid(self) -> str:
        """The StudyInstanceUID, "" where the header has none."""
        return self.frames[0].series[0]

    @property
    def patient_id(self) -> str:
        """The patient's id, "" where the header has none. Never shown."""
        return self.frames[0].series[1]

    @property
    def tags(self) -> Mapping[str, str]:
        """Hints at its sequence, of its first image."""
        return self.frames[0].tags

    @property
    def modality(self) -> str:
        """Of its first image, "MR" for magnetic resonance."""
        return self.frames[0].modality

    @property
    def description(self) -> str:
        """The series description, never empty."""
        return self.tags.get(SERIES_DESCRIPTION, "").strip() or "no description"


def find_volumes(folder: Path) -> tuple[DicomVolume, ...]:
    """The volumes of a folder and all folders in it, a series whose files lie in several of them as one.

    Raises OSError where a folder or file may not be read.
    """
    return volumes_of_files(_files_below(folder))


def choose_volume(folder: Path, role: Role) -> DicomVolume:
    """The one volume of a folder that plays the role.

    A sole MR volume is taken as it is. Among several, the headers' hints must speak for exactly one. Raises InputError
    otherwise, with the volumes that were found (description, number of slices, no patient data).
    """
    found = find_volumes(folder)
    if not found:
        raise InputError(
            f"{role.label}: the folder {folder} holds no DICOM images.", "Choose the folder with the series' files."
        )
    return _whole(_choose(found, folder, role), folder, role)


def volume_of_file(path: Path, role: Role) -> DicomVolume:
    """The volume to which a DICOM file belongs, with its other files in the same folder.

    Raises InputError if the file holds no image that can be read, or volumes of which none or several play the role.
    """
    found = [one for one in volumes_of_files(_files_in(path.parent)) if any(frame.path == path for frame in one.frames)]
    if not found:
        raise InputError(
            f"{role.label}: the DICOM file {path} holds no image, or is damaged.", "Export the series again."
        )
    return _whole(_choose(found, path, role), path.parent, role)


def read_volume(volume: DicomVolume, role: Role) -> tuple[sitk.Image, tuple[str, ...]]:
    """The volume as a three-dimensional float32 image in LPS, and warnings for the user.

    Raises InputError for colour, too few images, or a header that says clearly that it is another sequence;
    GeometryError for images that are not one even stack.
    """
    warnings = _sequence_warnings(volume, role) + _damage_warnings(volume, role)
    for layout in {frame.layout for frame in volume.frames}:
        check_layout(role.label, layout)
    _check_one_echo(volume, role)
    frames, geometry = stack(role.label, volume.frames)
    return Volume(read_pixels(role.label, frames), geometry).to_image(), warnings


def _files_below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def _files_in(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.iterdir() if path.is_file()))


def volumes_of_files(paths: Iterable[Path]) -> tuple[DicomVolume, ...]:
    """The volumes of these files, ordered by series; files that are no DICOM are passed over.

    Raises OSError where one may not be read.
    """
    series: dict[str, list[Frame]] = defaultdict(list)
    damaged: Counter[str] = Counter()
    for path in paths:
        try:
            if path.is_file() and is_dicom_file(path):
                for frame in read_frames(path):
                    series[frame.uid].append(frame)
        except DamagedFileError as error:
            damaged[error.uid] += 1
    lost = sum(count for uid, count in damaged.items() if uid not in series)
    return tuple(
        DicomVolume(frames, part, damaged[uid] + lost)
        for uid in sorted(series)
        for frames, part in _parted(_without_copies(series[uid]))
    )


def _without_copies(frames: list[Frame]) -> tuple[Frame, ...]:
    """The frames without those of a file that is, byte by byte, one of the files before it."""
    files: dict[str, list[Path]] = defaultdict(list)
    for frame in frames:
        if frame.path not in files[frame.instance]:
            files[frame.instance].append(frame.path)
    copies = {
        path
        for same in files.values()
        for path, earlier in ((path, same[:number]) for number, path in enumerate(same))
        if any(filecmp.cmp(path, other, shallow=False) for other in earlier)
    }
    return tuple(frame for frame in frames if frame.path not in copies)


def _parted(frames: tuple[Frame, ...]) -> list[tuple[tuple[Frame, ...], str]]:
    """The volumes of one series, each with what tells it from the others.

    Images that lie side by side are one volume, whatever their headers say. Otherwise they are parted by what should be
    one in a series (an anonymiser can give several series one UID), then by the first mark (echo, time point) of which
    every value covers every place.
    """
    if len(frames) == 1 or _is_stack(frames):
        return [(frames, "")]
    by_series = _grouped(frames, lambda frame: "\\".join(frame.series))
    if len(by_series) > 1:
        return [(group, part) for each in by_series.values() for group, part in _parted(each)]
    numbers = places(frames)
    if numbers is None:
        return [(frames, "")]
    if len(set(numbers)) == len(frames):
        return _interleaved(frames)
    place = {id(frame): number for frame, number in zip(frames, numbers, strict=True)}
    marks = dict.fromkeys(name for frame in frames for name in frame.marks)
    keys: list[tuple[str, Callable[[Frame], str]]] = [(name, _mark(name)) for name in marks]
    for name, key in [*keys, ("file", lambda frame: frame.path.name)]:
        groups = _grouped(frames, key)
        covered = [{place[id(frame)] for frame in group} for group in groups.values()]
        if len(groups) > 1 and all(each == set(numbers) for each in covered):
            return [
                (part, ", ".join(filter(None, (f"{name} {value or 'unknown'}", rest))))
                for value, group in groups.items()
                for part, rest in _parted(group)
            ]
    return [(frames, "")]


def _mark(name: str) -> Callable[[Frame], str]:
    return lambda frame: frame.marks.get(name, "")


def _is_stack(frames: tuple[Frame, ...]) -> bool:
    try:
        stack("", frames)
    except InputError:
        return False
    return len({role_of(frame.tags) for frame in frames}) == 1 and _has_one_echo(frames)


def _interleaved(frames: tuple[Frame, ...]) -> list[tuple[tuple[Frame, ...], str]]:
    """Stacks of several echo times whose images lie between each other's, each by itself; else all as one."""
    groups = _grouped(frames, _mark(_ECHO))
    if len(groups) > 1 and all(_is_stack(group) for group in groups.values()):
        rising = sorted(groups.items(), key=lambda item: _time(item[0]))
        return [(group, f"{_ECHO} {value or 'unknown'}") for value, group in rising]
    return [(frames, "")]


def _has_one_echo(frames: tuple[Frame, ...]) -> bool:
    times = _echo_times(frames)
    return not times or times[-1] <= (1 + _SAME_ECHO) * times[0]


def _echo_times(frames: tuple[Frame, ...]) -> list[float]:
    """Those that the headers name, in ms, rising."""
    return sorted({time for frame in frames if (time := _time(frame.marks.get(_ECHO, ""))) > 0})


def _time(text: str) -> float:
    try:
        return float(text.split("\\")[0])
    except ValueError:
        return 0.0


def _check_one_echo(volume: DicomVolume, role: Role) -> None:
    if not _has_one_echo(volume.frames):
        times = _echo_times(volume.frames)
        raise InputError(
            f"{role.label}: the images of this DICOM series have echo times from {times[0]:g} to {times[-1]:g} ms, so "
            "they are not of one sequence.",
            "Export the one that is meant as a series of its own.",
        )


def _grouped(frames: Iterable[Frame], key: Callable[[Frame], str]) -> dict[str, tuple[Frame, ...]]:
    groups: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return {value: tuple(group) for value, group in groups.items()}


def _choose(found: Sequence[DicomVolume], place: Path, role: Role) -> DicomVolume:
    volumes = [one for one in found if one.modality == "MR" and is_volume(one.tags)]
    named = [one for one in volumes if role_of(one.tags) is role]
    fitting = [one for one in named if len(one.frames) >= MINIMUM_SLICES] or named  # a key image is no rival
    chosen = volumes if len(volumes) == 1 else fitting
    if len(chosen) == 1:
        return chosen[0]
    count = f"{len(fitting)} series fit" if fitting else "no series fits"
    one_series = len({volume.uid for volume in fitting}) == 1
    raise InputError(
        f"{role.label}: {count} among the {len(found)} in {place}: {_listing(fitting or found)}.",
        "Export the one that is meant as a series of its own."
        if one_series
        else "Choose a folder with the one series, or one file of that series.",
    )


def _listing(volumes: Sequence[DicomVolume]) -> str:
    shown = [
        f"{one.description}{', ' if one.part else ''}{one.part} ({len(one.frames)} slices, {one.modality})"
        for one in volumes[:12]
    ]
    return "; ".join(shown + ([f"and {len(volumes) - 12} more"] if len(volumes) > 12 else []))


def _whole(volume: DicomVolume, folder: Path, role: Role) -> DicomVolume:
    """The volume, unless a folder beside holds more of it: then InputError, for a part looks like a whole."""
    own = volume.frames[0]
    for beside in _folders_beside(folder):
        more = [
            frame
            for other in volumes_of_files(_files_with(beside, volume.uid))
            for frame in other.frames
            if frame.uid == own.uid and frame.series == own.series
        ]
        numbers = places([*volume.frames, *more])
        if numbers is not None and not set(numbers[len(volume.frames) :]) <= set(numbers[: len(volume.frames)]):
            raise InputError(
                f"{role.label}: {len(volume.frames)} images of this DICOM series lie in {folder}, but {beside} holds "
                f"{len(more)} more.",
                f"Give the folder that holds all of them, such as {folder.resolve().parent}.",
            )
    return volume


def _folders_beside(folder: Path) -> list[Path]:
    """The folder that holds this one, and the other folders in it. None that may not be listed."""
    folder = folder.resolve()
    try:
        return [folder.parent, *(path for path in sorted(folder.parent.iterdir()) if path.is_dir() and path != folder)]
    except OSError:
        return []


def _files_with(folder: Path, uid: str) -> list[Path]:
    """The files of a folder if some of those looked into name the series, none otherwise."""
    try:
        files = list(_files_in(folder))
        step = max(1, (len(files) - 1) // (_PROBES - 1))
        probes = [*files[::step][:_PROBES], *files[-1:]]
        return files if any(_names(path, uid) for path in probes) else []
    except OSError:
        return []


def _names(path: Path, uid: str) -> bool:
    with path.open("rb") as file:
        return uid.encode() in file.read(_PROBED_BYTES)


def _sequence_warnings(volume: DicomVolume, role: Role) -> tuple[str, ...]:
    """A warning where T1 has contrast or lacks it by the header. Raises InputError for another sequence altogether."""
    other = contradiction(volume.tags, role)
    if other is not None:
        raise InputError(
            f"{role.label}: this DICOM series is {other} by its header ({volume.description}).",
            f"Choose the {role.label} series. If the header is wrong, save the series as NIfTI and give that.",
        )
    says = role_of(volume.tags)
    if says is None or says is role or Role.FLAIR in (says, role):
        return ()
    return (f"The series used as {role.label} looks like {says.label} by its header ({volume.description}).",)


def _damage_warnings(volume: DicomVolume, role: Role) -> tuple[str, ...]:
    """A warning where files of the folder were unreadable: they may be the missing ends of this series."""
    if not volume.damaged:
        return ()
    files = "1 DICOM file is" if volume.damaged == 1 else f"{volume.damaged} DICOM files are"
    return (f"{files} damaged and left out, so {role.label} may be incomplete: copy or export the folder again.",)
