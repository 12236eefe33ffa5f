"""The training set as normalised arrays on disk, made once, mapped into memory by every run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain_tumor_training.brain_mask import rough_brain_mask
from brain_tumor_training.kaggle import Patient, patient_folders, read_patient
from BrainTumorSegLib.engine.normalisation import normalise_sequence

VARIANTS = ("head", "brain")
"""With the skull as acquired, and with everything outside a rough brain mask removed before normalisation."""

_VERSION = 1
_EROSION_RADII_PX = (5, 7, 9)


@dataclass(frozen=True)
class CachedPatient:
    """One patient at one sampling.

    variants: float16 [2, 3, S, H, W] in the order of VARIANTS and kaggle.SEQUENCES, normalised as the engine does;
    mask: bool [S, H, W].
    """

    name: str
    variants: npt.NDArray[np.float16]
    mask: npt.NDArray[np.bool_]


def build_cache(root: Path, cache: Path, workers: int = 2) -> None:
    """Writes the arrays of every patient below ``root`` (Kaggle's layout) into ``cache``; a complete one stays."""
    marker = cache / "cache.json"
    folders = patient_folders(root)
    wanted = {"version": _VERSION, "patients": [folder.name for folder in folders]}
    if marker.is_file() and json.loads(marker.read_text()) == wanted:
        return
    cache.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(partial(_cache_patient, cache), folders))
    marker.write_text(json.dumps(wanted))


def load_cache(cache: Path, names: Sequence[str], size_px: int) -> list[CachedPatient]:
    """Maps the arrays of the named patients, sampled at size_px (256 or 128), into memory."""
    return [
        CachedPatient(
            name,
            np.load(cache / f"{name}-{size_px}.npy", mmap_mode="r"),
            np.load(cache / f"{name}-{size_px}-mask.npy"),
        )
        for name in names
    ]


def _cache_patient(cache: Path, folder: Path) -> None:
    patient = read_patient(folder)
    variants, mask = normalised_variants(patient), patient.mask
    for size_px in (256, 128):
        np.save(cache / f"{patient.name}-{size_px}.npy", variants.astype(np.float16))
        np.save(cache / f"{patient.name}-{size_px}-mask.npy", mask)
        variants, mask = halve(variants), halve(mask.astype(np.float32)) >= 0.5


def normalised_variants(patient: Patient) -> npt.NDArray[np.float32]:
    """float32 [2, 3, S, H, W]: the normalised head, and the brain alone; the cut's radius depends on the name."""
    head = np.stack([normalise_sequence(sequence) for sequence in patient.sequences])
    radius = _EROSION_RADII_PX[sum(patient.name.encode()) % len(_EROSION_RADII_PX)]
    brain = rough_brain_mask(head[1], patient.mask, radius)
    masked = np.stack([normalise_sequence(np.where(brain, sequence, 0)) for sequence in patient.sequences])
    return np.stack([head, masked])


def halve(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Half the in-plane sampling of [..., H, W] by the mean of each 2 x 2 block."""
    *lead, height, width = array.shape
    return array.reshape(*lead, height // 2, 2, width // 2, 2).mean(axis=(-3, -1))
