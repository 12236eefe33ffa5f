"""What seeing thin slices as slabs is worth: volumetric Dice by threshold, with slabs and with slices as they are.

    python benchmarks/abroad.py --external DIR
    python benchmarks/abroad.py --data KAGGLE --patients 10 [--brain-masked]

The whole program with its released models, all but the threshold as recommended. --external: folders with flair, seg
(tumour: over 0) and t1, t1c where there are any. --data: LGG patients made thin, 1 mm from 5.5 mm: each sequence is the
slope of the cubic spline through its running sum (a histospline), so that the mean over what was a slice is that slice
again; interpolating between slices would blur what averaging then blurs once more. The released models were trained on
these patients: only the difference of the two ways means anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from brain_tumor_training.data.brain_mask import rough_brain_mask
from brain_tumor_training.data.kaggle import patient_folders, read_patient
from brain_tumor_training.evaluation.studies import NOMINAL_SPACING_MM, folder_sources
from brain_tumor_training.metrics.overlap import count_slices, volumetric_dice
from BrainTumorSegLib.engine.inference import preprocessing
from BrainTumorSegLib.engine.inference.normalisation import normalise_sequence
from BrainTumorSegLib.engine.inference.segmenter import load_segmenter
from BrainTumorSegLib.engine.measurement.mask import mask_from_probability
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.reading import read_study
from BrainTumorSegLib.engine.study.study import Study

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
THIN_MM = 1.0
EROSION_PX = 7

Mask = npt.NDArray[np.bool_]


def main() -> None:
    """Measures and prints Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--external", type=Path, metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="KAGGLE")
    parser.add_argument("--patients", type=int, default=10, metavar="N", help="of the data, evenly over the list")
    parser.add_argument("--brain-masked", action="store_true", help="the data's patients without skull")
    arguments = parser.parse_args()

    segmenter = load_segmenter(ModelStore.default())
    print(f"| study | seen as | {' | '.join(str(one) for one in THRESHOLDS)} |\n|---|---|{'---|' * len(THRESHOLDS)}")
    for name, study, reference in _studies(arguments):
        for way in ("slices", "slabs"):
            with ExitStack() as stack:
                if way == "slices":
                    for changed in ("to_slabs", "from_slabs"):
                        stack.enter_context(mock.patch.object(preprocessing, changed))
                found = segmenter.segment(study)
            dice = [_dice(found.probability, study.geometry, one, reference) for one in THRESHOLDS]
            print(f"| {name} | {way} | {' | '.join(f'{one:.4f}' for one in dice)} |", flush=True)


def _studies(arguments: argparse.Namespace) -> Iterator[tuple[str, Study, Mask]]:
    """Name, study and its reference [S, H, W]."""
    if arguments.external is not None:
        for source in folder_sources(arguments.external):
            with source.open() as one:
                yield one.name, read_study(one.paths), one.reference
    if arguments.data is not None:
        folders = patient_folders(arguments.data)
        for index in np.linspace(0, len(folders) - 1, min(arguments.patients, len(folders))).astype(int):
            yield folders[index].name, *thin_study(folders[index], arguments.brain_masked)


def thin_study(folder: Path, brain_masked: bool) -> tuple[Study, Mask]:
    """A patient's stack, of the nominal spacing, as if it had been acquired in slices of THIN_MM."""
    patient = read_patient(folder)
    brain = np.ones(patient.mask.shape, np.bool_)
    if brain_masked:
        brain = rough_brain_mask(normalise_sequence(patient.sequences[1]), patient.mask, EROSION_PX)
    inside = thinned(brain) >= 0.5
    t1, flair, t1c = (np.where(inside, thinned(one).clip(0, 255), 0).astype(np.float32) for one in patient.sequences)
    size = (flair.shape[2], flair.shape[1], flair.shape[0])
    geometry = Geometry(size, (*NOMINAL_SPACING_MM[:2], THIN_MM), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Study(flair, geometry, t1, t1c), thinned(patient.mask) >= 0.5


def thinned(stack: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """[S, H, W] at the nominal distance -> the means over slices of THIN_MM of its histospline."""
    running = np.zeros((len(stack) + 1, *stack.shape[1:]))
    np.cumsum(stack, axis=0, dtype=np.float64, out=running[1:])
    borders = np.arange(len(running)) * NOMINAL_SPACING_MM[2]
    spline = CubicSpline(borders, running * NOMINAL_SPACING_MM[2], bc_type="natural")
    thin = np.arange(0, borders[-1] + THIN_MM / 2, THIN_MM)
    return np.asarray(np.diff(spline(thin), axis=0) / THIN_MM, np.float32)


def _dice(probability: npt.NDArray[np.float32], geometry: Geometry, threshold: float, reference: Mask) -> float:
    mask = mask_from_probability(probability, geometry, threshold, 1.0)
    return volumetric_dice(count_slices(AxialOrder.of(geometry).to_axial(mask), reference))


if __name__ == "__main__":
    main()
