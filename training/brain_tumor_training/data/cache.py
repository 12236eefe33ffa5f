"""The training set as normalised arrays on disk, made once, mapped into memory by every run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock

from brain_tumor_training.data.brain_mask import rough_brain_mask
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.inference.normalisation import normalise_sequence
from BrainTumorSegLib.engine.inference.preprocessing import coarsen

VARIANTS = ("head", "brain")
"""With the skull as acquired, and with everything outside a rough brain mask removed before normalisation."""

SIZES_PX = (256, 128)

_MARKER = "cache.json"
_VERSION = 1
_EROSION_RADII_PX = (5, 7, 9)


@dataclass(frozen=True)
class CachedPatient:
    """One patient at one sampling.

    variants: float16 [2, 3, S, H, W] in the order of VARIANTS and kaggle.SEQUENCES, normalised as the engine does;
    mask: bool [S, H, W]. neighbour_step: slices to the neighbour that a 2.5D network sees.
    """

    name: str
    variants: npt.NDArray[np.float16]
    mask: npt.NDArray[np.bool_]
    neighbour_step: int = 1


@dataclass(frozen=True)
class PreparedPatient:
    """One patient at the network's sampling: sequences [3, S, 256, 256] of any unit with background 0, mask bool."""

    name: str
    sequences: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_]
    neighbour_step: int = 1


class TrainingSource(Protocol):
    """A patient of some data set. Must be picklable: caches are built by several processes."""

    @property
    def name(self) -> str:
        """The patient."""

    def read(self) -> PreparedPatient:
        """The arrays to train on. Raises InputError for data that can't be used."""


def build_cache(sources: Sequence[TrainingSource], cache: Path, workers: int = 2) -> None:
    """Writes every patient's arrays into ``cache``; a complete cache of the same patients stays as it is."""
    marker = cache / _MARKER
    names = [source.name for source in sources]
    cache.mkdir(parents=True, exist_ok=True)
    # The processes of torchrun all come here: one builds, the others wait and find it built.
    with FileLock(cache / "cache.lock"):
        if marker.is_file() and _is_of(json.loads(marker.read_text()), names):
            return
        # One thread each: a forked process hangs in PyTorch's own threads if its parent has used them before.
        with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            steps = list(pool.map(partial(_cache_patient, cache), sources))
        content = {"version": _VERSION, "patients": names, "neighbour_steps": dict(zip(names, steps, strict=True))}
        with atomic_path(marker) as temporary:
            temporary.write_text(json.dumps(content))


def cached_names(cache: Path) -> list[str]:
    """The patients of a cache. Raises InputError if it is not complete."""
    marker = cache / _MARKER
    if not marker.is_file():
        raise InputError(f"{cache} holds no complete cache.", "Give the data (--data): the cache is made from it once.")
    return json.loads(marker.read_text())["patients"]


def load_cache(cache: Path, names: Sequence[str], size_px: int) -> list[CachedPatient]:
    """Maps the arrays of the named patients, sampled at size_px (256 or 128), into memory."""
    if size_px not in SIZES_PX:
        raise InputError(f"Slices of {size_px} pixels are not kept.", f"Choose one of {SIZES_PX} in the recipe.")
    steps = json.loads((cache / _MARKER).read_text()).get("neighbour_steps", {})
    return [
        CachedPatient(
            name,
            # Copy on write: what is read stays the file's, and torch takes only arrays that it could write to.
            np.load(cache / f"{name}-{size_px}.npy", mmap_mode="c"),
            np.load(cache / f"{name}-{size_px}-mask.npy"),
            steps.get(name, 1),
        )
        for name in names
    ]


def _is_of(marker: dict[str, Any], names: list[str]) -> bool:
    return marker["version"] == _VERSION and marker["patients"] == names


def _cache_patient(cache: Path, source: TrainingSource) -> int:
    """Writes one patient; returns its neighbour step."""
    patient = source.read()
    variants, mask = with_brain_variant(patient), patient.mask
    for size_px in SIZES_PX:
        np.save(cache / f"{patient.name}-{size_px}.npy", coarsen(variants, size_px).astype(np.float16))
        np.save(cache / f"{patient.name}-{size_px}-mask.npy", coarsen(mask.astype(np.float32), size_px) >= 0.5)
    return patient.neighbour_step


def with_brain_variant(patient: PreparedPatient) -> npt.NDArray[np.float32]:
    """float32 [2, 3, S, H, W]: the normalised head, and the brain alone; the cut's radius depends on the name."""
    head = np.stack([normalise_sequence(sequence) for sequence in patient.sequences])
    radius = _EROSION_RADII_PX[sum(patient.name.encode()) % len(_EROSION_RADII_PX)]
    brain = rough_brain_mask(head[1], patient.mask, radius)
    masked = np.stack([normalise_sequence(np.where(brain, sequence, 0)) for sequence in patient.sequences])
    return np.stack([head, masked])
