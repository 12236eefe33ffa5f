"""How often it is told that slices are no scan's, and that a sequence lies turned on FLAIR: rightly, and wrongly.

    python benchmarks/plausibility.py --data KAGGLE [--images FILE ...]

Of the LGG set: each sequence of each patient as it is, cut up as a sagittal and a coronal stack of 5.4 mm, and with its
slices spoilt; T1 and T1 with contrast turned on FLAIR, and moved. Any other file by itself. Columns: the program's own
warnings in engine/study/continuity.py and engine/study/turned.py.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from brain_tumor_training.data.kaggle import Patient, patient_folders, read_patient
from brain_tumor_training.evaluation.studies import NOMINAL_SPACING_MM
from BrainTumorSegLib.engine.study.continuity import continuity_warnings
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.turned import turned_warnings

SAGITTAL, CORONAL = 2, 1
MERGED = 6
MOVED_PX = {"9 mm to the side": (0, 0, 10), "25 mm to the side": (0, 0, 28), "25 mm forwards": (0, 28, 0)}

Array = npt.NDArray[np.float32]


def main() -> None:
    """Measures and prints Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="KAGGLE")
    parser.add_argument("--images", type=Path, nargs="*", default=[], metavar="FILE")
    arguments = parser.parse_args()

    random = np.random.default_rng(0)
    of_all: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for folder in patient_folders(arguments.data):
        for name, is_told in _outcomes(read_patient(folder), random):
            of_all[name] += 1
            told[name] += is_told
    for path in arguments.images:
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
        of_all[path.name] += 1
        told[path.name] += bool(continuity_warnings("", sitk.GetArrayFromImage(image), image.GetSpacing()))
    print("| given | volumes | told |\n|---|---|---|")
    for name, count in of_all.items():
        print(f"| {name} | {count} | {told[name]} |")


def _outcomes(patient: Patient, random: np.random.Generator) -> Iterator[tuple[str, bool]]:
    """What was given, and whether it was told."""
    t1, flair, t1c = patient.sequences.astype(np.float32)
    others = [other for other in (t1, t1c) if not np.array_equal(other, flair)]  # a missing one is filled with FLAIR
    for volume in (flair, *others):
        for name, given in _slices(volume, random):
            yield name, bool(continuity_warnings("", given, NOMINAL_SPACING_MM))
    geometry = Geometry(flair.shape[::-1], NOMINAL_SPACING_MM, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    for other in others:
        for name, given in _places(other):
            yield name, bool(turned_warnings("", flair, given, geometry))


def _slices(volume: Array, random: np.random.Generator) -> Iterator[tuple[str, Array]]:
    count = len(volume)
    middle = int(random.integers(count // 4, 3 * count // 4))
    away = (middle + count // 3) % count
    yield "as it is", volume
    yield "as a sagittal stack", _reformatted(volume, SAGITTAL)
    yield "as a coronal stack", _reformatted(volume, CORONAL)
    yield "slices shuffled", volume[random.permutation(count)]
    yield "every second slice, then the others", np.concatenate([volume[::2], volume[1::2]])
    yield "slices ordered as text (1, 10, 11, 2)", volume[sorted(range(count), key=lambda index: str(index + 1))]
    yield "two slices swapped", _with(volume, {middle: volume[away], away: volume[middle]})
    yield "a slice blank", _with(volume, {middle: np.zeros_like(volume[0])})
    yield "a slice copied", _with(volume, {middle: volume[middle - 1]})
    yield "every second slice times 1.5", volume * np.resize([1, 1.5], count)[:, None, None].astype(np.float32)
    yield "a slice at a fifth", _with(volume, {middle: volume[middle] / 5})
    yield "bytes misread", (volume * 16).astype(np.int16).byteswap().astype(np.float32)
    yield "noise", random.uniform(0, 255, volume.shape).astype(np.float32)


def _places(other: Array) -> Iterator[tuple[str, Array]]:
    yield "T1 on FLAIR as it is", other
    for name, shift in MOVED_PX.items():
        yield f"T1 on FLAIR, {name}", np.roll(other, shift, (0, 1, 2))
    for turn in itertools.product((1, -1), repeat=3):
        if turn != (1, 1, 1):
            kind = "sides changed" if turn == (1, 1, -1) else "turned or mirrored along other axes"
            yield f"T1 on FLAIR, {kind}", other[tuple(slice(None, None, step) for step in turn)]


def _reformatted(volume: Array, axis: int) -> Array:
    slices = np.moveaxis(np.repeat(volume, MERGED, axis=0), axis, 0)
    whole = len(slices) // MERGED * MERGED
    return slices[:whole].reshape(-1, MERGED, *slices.shape[1:]).mean(axis=1)


def _with(volume: Array, changed: dict[int, Array]) -> Array:
    result = volume.copy()
    for index, plane in changed.items():
        result[index] = plane
    return result


if __name__ == "__main__":
    main()
