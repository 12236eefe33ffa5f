"""How often it is told that FLAIR shows no skull or is no FLAIR: rightly, and wrongly.

    python benchmarks/appearance.py --data KAGGLE [--images FILE ...]

Of the LGG set: FLAIR as it is, where both must be silent; FLAIR without skull, by rough masks of several erosions; T1
and T1 with contrast given as FLAIR, where the patient has them. Any other file by itself.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain_tumor_training.data.brain_mask import rough_brain_mask
from brain_tumor_training.data.kaggle import Patient, patient_folders, read_patient
from brain_tumor_training.evaluation.studies import NOMINAL_SPACING_MM
from BrainTumorSegLib.engine.inference.appearance import LEAST_BONE_SHARE, LEAST_GREY_OVER_WHITE, Appearance
from BrainTumorSegLib.engine.inference.normalisation import normalise_sequence
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study

EROSIONS_PX = (4, 7, 10)


def main() -> None:
    """Measures and prints Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="KAGGLE")
    parser.add_argument("--images", type=Path, nargs="*", default=[], metavar="FILE")
    arguments = parser.parse_args()

    found: dict[str, list[Appearance]] = defaultdict(list)
    for folder in patient_folders(arguments.data):
        for name, volume in _variants(read_patient(folder)):
            found[name].append(_appearance(Study(volume.astype(np.float32), _geometry(volume))))
    for path in arguments.images:
        found[path.name].append(_appearance(read_study(StudyPaths(path))))

    print(
        "| given as FLAIR | studies | no skull | no FLAIR | bone share | grey over white |\n|---|---|---|---|---|---|"
    )
    for name, all_of_it in found.items():
        bone = np.array([one.bone_share for one in all_of_it])
        grey = np.array([one.grey_over_white for one in all_of_it])
        told = f"{(bone < LEAST_BONE_SHARE).sum()} | {(grey < LEAST_GREY_OVER_WHITE).sum()}"
        print(f"| {name} | {len(all_of_it)} | {told} | {_range(bone)} | {_range(grey)} |")


def _variants(patient: Patient) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """What is given as FLAIR: its name, and uint8 [S, H, W]."""
    t1, flair, t1c = patient.sequences
    yield "FLAIR", flair
    scaled = normalise_sequence(flair)
    for erosion_px in EROSIONS_PX:
        brain = rough_brain_mask(scaled, patient.mask, erosion_px)
        yield f"FLAIR without skull, erosion {erosion_px} px", np.where(brain, flair, 0)
    for name, volume in (("T1", t1), ("T1 with contrast", t1c)):
        if not np.array_equal(volume, flair):  # a missing sequence is filled with FLAIR
            yield name, volume


def _geometry(volume: npt.NDArray[np.uint8]) -> Geometry:
    slices, height, width = volume.shape
    return Geometry((width, height, slices), NOMINAL_SPACING_MM, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def _appearance(study: Study) -> Appearance:
    return Appearance.of(prepare(study).sequences[1])


def _range(values: npt.NDArray[np.float64]) -> str:
    return " / ".join(f"{value:.2f}" for value in np.nanpercentile(values, (0, 50, 100)))


if __name__ == "__main__":
    main()
