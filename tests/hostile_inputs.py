"""Broken and hostile inputs made by code: every format cut, flipped and contradicted, odd names and kinds of files."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import SimpleITK as sitk

from cohorts import write_volume
from dicom_series import write_enhanced, write_series

WRITERS = ("plain.nii", "packed.nii.gz", "plain.nrrd", "packed.nrrd", "plain.mha", "packed.mha")
CUTS = (0, 1, 3, 100, 347, 352)
FIELDS = {
    "nrrd": {
        b"dimension: 3": (b"dimension: 0", b"dimension: -1", b"dimension: 99999999999999999999", b"dimension: 17"),
        b"sizes: 32 32 12": (b"sizes: 0 0 0", b"sizes: -1 32 12", b"sizes: 99999 99999 99999", b"sizes: 32 32 12 4 5"),
        b"type: float": (b"type: block", b"type: ", b"type: double", b"type: unsigned char"),
        b"encoding: ": (b"encoding: gzip ", b"encoding: hex ", b"encoding: nothing"),
    },
    "mha": {
        b"NDims = 3": (b"NDims = -1", b"NDims = 0", b"NDims = 99999999999999999999", b"NDims = 11"),
        b"DimSize = 32 32 12": (
            b"DimSize = 0 0 0",
            b"DimSize = -1 -1 -1",
            b"DimSize = 99999 99999 99999",
            b"DimSize =",
        ),
        b"MET_FLOAT": (b"MET_NONE", b"MET_DOUBLE", b"MET_STRING", b""),
        b"ElementSpacing = 4 4 8": (
            b"ElementSpacing = 0 0 0",
            b"ElementSpacing = nan 4 8",
            b"ElementSpacing = 1e308 4 8",
        ),
    },
}


def hostile_inputs(folder: Path, seed: int, flips: int) -> Iterator[tuple[str, Path]]:
    """(kind, path) of each input, written into the folder. flips: how many damaged copies of each format."""
    chance = random.Random(seed)
    for name in WRITERS:
        content = _volume(folder / name).read_bytes()
        yield from _damaged(folder, name, content, chance, flips)
    yield from _dicom(folder / "dicom", chance, flips)
    yield from _odd_files(folder / "odd")


def _volume(path: Path) -> Path:
    image = sitk.ReadImage(str(write_volume(path.with_name("source.nii.gz"))))
    sitk.WriteImage(image, str(path), useCompression=path.name.startswith("packed"))
    return path


def _damaged(folder: Path, name: str, content: bytes, chance: random.Random, flips: int) -> Iterator[tuple[str, Path]]:
    number = 0

    def write(damaged: bytes) -> Path:
        nonlocal number
        number += 1
        path = folder / f"{number:03d}_{name}"
        path.write_bytes(damaged)
        return path

    for length in (*CUTS, len(content) // 2, len(content) - 1):
        yield "cut short", write(content[:length])
    for _ in range(flips):
        damaged = bytearray(content)
        # Most of them in the header, where a reader believes what it reads.
        reach = len(damaged) if chance.random() < 0.3 else min(400, len(damaged))
        for _ in range(chance.choice((1, 1, 4, 32))):
            damaged[chance.randrange(reach)] = chance.randrange(256)
        yield "bytes changed", write(bytes(damaged))
    for field, values in FIELDS.get(name.rsplit(".", 1)[1], {}).items():
        for value in values:
            yield "a header that lies", write(content.replace(field, value, 1))
    yield "bytes added", write(content + bytes(1000))
    yield "noise", write(chance.randbytes(5000))


def _dicom(folder: Path, chance: random.Random, flips: int) -> Iterator[tuple[str, Path]]:
    image = sitk.Cast(sitk.ReadImage(str(write_volume(folder / "source.nii.gz"))), sitk.sitkInt16)
    (folder / "source.nii.gz").unlink()
    for number in range(flips):
        series = folder / f"series{number:03d}"
        paths = write_series(series, image) if number % 2 else [write_enhanced(series / "e.dcm", image)]
        victim = chance.choice(paths)
        damaged = bytearray(victim.read_bytes())
        if number % 3 == 0:
            damaged = damaged[: chance.randrange(len(damaged))]
        else:
            for _ in range(8):
                damaged[chance.randrange(128, min(2000, len(damaged)))] = chance.randrange(256)
        victim.write_bytes(bytes(damaged))
        yield "damaged DICOM", series
    (folder / "empty").mkdir()
    yield "damaged DICOM", folder / "empty"


def _odd_files(folder: Path) -> Iterator[tuple[str, Path]]:
    folder.mkdir()
    makers: dict[str, Callable[[Path], object]] = {
        "folder.nii.gz": lambda path: path.mkdir(),
        "loop.nii": lambda path: path.symlink_to(path),
        "gone.nii": lambda path: path.symlink_to(folder / "nowhere.nii"),
        "pipe.nrrd": os.mkfifo,
        "device.nii": lambda path: path.symlink_to("/dev/zero"),
        "null.mha": lambda path: path.symlink_to("/dev/null"),
        "text.nii": lambda path: path.write_text("Dear colleague, please find attached"),
        "no ending": lambda path: path.write_bytes(bytes(200)),
        "a name\nwith a line break.nii.gz": _volume,
        "ünïcode 脳.nii.gz": _volume,
        f"{'x' * 200}.nii.gz": _volume,
        "-rf.nii.gz": _volume,
        "%s%n{0}$(id).nii.gz": _volume,
    }
    for name, make in makers.items():
        make(folder / name)
        yield "odd names and kinds of files", folder / name
