"""What slice networks say of patients whom they have not seen: the raw material of a refiner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from brain_tumor_training.cache import CachedPatient, load_cache
from brain_tumor_training.data import take_slice
from brain_tumor_training.forward import forward
from brain_tumor_training.run_folder import RunFolder
from brain_tumor_training.study_settings import StudyView
from BrainTumorSegLib.engine.device import Compute
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.normalisation import BACKGROUND
from BrainTumorSegLib.engine.preprocessing import CHANNELS, SIZE_PX, coarsen
from BrainTumorSegLib.engine.refinement import COARSE_PX, limited, refine

LOSS_PX = SIZE_PX // 2
"""Rows and columns at which a refiner's loss is computed."""
_BATCH = 8


@dataclass(frozen=True)
class StudyLogits:
    """One patient in one view. coarse, fine: float16 [S, 64, 64] and [S, 128, 128], means of the limited logits."""

    coarse: npt.NDArray[np.float16]
    fine: npt.NDArray[np.float16]


@torch.inference_mode()
def slice_logits(
    network: nn.Module,
    patient: CachedPatient,
    channels: Sequence[str],
    compute: Compute,
    variant: int = 0,
    dropped: frozenset[int] = frozenset(),
) -> npt.NDArray[np.float32]:
    """A network's logits [S, 256, 256] of a patient's slices, mean of the slice and its mirror image as shipped."""
    wanted = [CHANNELS[name] for name in channels]
    parts = []
    for start in range(0, len(patient.mask), _BATCH):
        some = range(start, min(start + _BATCH, len(patient.mask)))
        images = np.stack([take_slice(patient, s, wanted, variant, dropped)[0] for s in some]) + BACKGROUND
        image = torch.from_numpy(images.clip(BACKGROUND, 3))
        both = forward(network, image, compute) + forward(network, image.flip(-1), compute).flip(-1)
        parts.append(both.cpu() / 2)
    return torch.cat(parts)[:, 0].numpy()


@torch.inference_mode()
def corrected_logits(
    network: nn.Module, patient: CachedPatient, channels: Sequence[str], compute: Compute
) -> npt.NDArray[np.float32]:
    """Logits [S, 256, 256] of a network with a refiner, as the pipeline has them with the gate off."""
    refiner = network.get_submodule("refiner")

    def correct(study: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return forward(refiner, torch.from_numpy(study), compute).cpu().numpy()

    logits = slice_logits(network, patient, channels, compute)
    return refine(correct, np.asarray(patient.variants[0], np.float32), logits, patient.neighbour_step)


class UnseenLogits:
    """Logits of patients by the runs that have not seen them, made once and kept in a folder."""

    def __init__(self, folder: Path, runs: Sequence[Path], views: Mapping[str, StudyView], compute: Compute) -> None:
        """runs: finished runs of slice networks, such as those of all folds; a patient is taken by the first that
        has not learned from him.
        """
        self._folder = folder
        self._runs = [RunFolder(run) for run in runs]
        self._views = views
        self._compute = compute
        self._loaded: tuple[Path, nn.Module] | None = None

    def of(self, name: str, cache: Path) -> dict[str, StudyLogits]:
        """By view. Raises InputError where every run has seen the patient."""
        run = self._unseen_by(name)
        path = self._folder / f"{name}-{self._key(run)}.npz"
        if not path.is_file():
            self._make(run, load_cache(cache, [name], SIZE_PX)[0], path)
        with np.load(path) as found:
            return {view: StudyLogits(found[f"{view}-coarse"], found[f"{view}-fine"]) for view in self._views}

    def _unseen_by(self, name: str) -> RunFolder:
        for run in self._runs:
            split = run.split()
            if name not in split.training and name not in split.validation:
                return run
        raise InputError(
            f"Every run has seen the patient {name}.",
            "Give the runs of all folds (--segmentation-runs 'RUNS/fold{fold}'): a refiner learns from what a network "
            "says of patients that are new to it.",
        )

    def _key(self, run: RunFolder) -> str:
        """Of what the logits depend on."""
        run.require_finished()
        content = run.weights.read_bytes() + repr(sorted(self._views.items())).encode()
        return hashlib.sha256(content).hexdigest()[:16]

    def _make(self, run: RunFolder, patient: CachedPatient, path: Path) -> None:
        settings = run.settings()
        network = self._network(run)
        arrays = {}
        for view, seen in self._views.items():
            dropped = frozenset(seen.dropped)
            logits = limited(slice_logits(network, patient, settings.channels, self._compute, seen.variant, dropped))
            arrays[f"{view}-coarse"] = coarsen(logits, COARSE_PX).astype(np.float16)
            arrays[f"{view}-fine"] = coarsen(logits, LOSS_PX).astype(np.float16)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def _network(self, run: RunFolder) -> nn.Module:
        """The run's network, kept for the next patient of its fold."""
        if self._loaded is None or self._loaded[0] != run.path:
            settings = run.settings()
            network = build_network(settings.network, settings.arguments)
            network.load_state_dict(run.finished_weights())
            self._loaded = run.path, network.to(self._compute.device).eval()
        return self._loaded[1]
