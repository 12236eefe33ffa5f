"""Logits of slice networks for patients held out from their training: the raw material of a refiner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from brain_tumor_training.data.cache import CachedPatient, load_cache
from brain_tumor_training.fitting.prediction import slice_logits
from brain_tumor_training.refinement.settings import PatientView
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.preprocessing import coarsen
from BrainTumorSegLib.engine.inference.refinement import COARSE_PX, limited
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.networks.registry import build_network

LOSS_PX = SIZE_PX // 2
"""Rows and columns at which a refiner's loss is computed."""


@dataclass(frozen=True)
class StudyLogits:
    """One patient in one view. coarse, fine: float16 [S, 64, 64] and [S, 128, 128], means of the limited logits."""

    coarse: npt.NDArray[np.float16]
    fine: npt.NDArray[np.float16]


class HeldOutLogits:
    """Logits of patients by the runs that held them out, made once and kept in a folder."""

    def __init__(self, folder: Path, runs: Sequence[Path], views: Mapping[str, PatientView], compute: Compute) -> None:
        """runs: finished runs of slice networks, such as those of all folds; a patient is taken by the first that
        held the patient out.
        """
        self._folder = folder
        self._runs = [RunFolder(run) for run in runs]
        self._views = views
        self._compute = compute
        self._loaded: tuple[Path, nn.Module] | None = None

    def of(self, name: str, cache: Path) -> dict[str, StudyLogits]:
        """By view. Raises InputError where no run held the patient out."""
        run = self._held_out_by(name)
        path = self._folder / f"{name}-{self._key(run)}.npz"
        if not path.is_file():
            self._make(run, load_cache(cache, [name], SIZE_PX)[0], path)
        with np.load(path) as found:
            return {view: StudyLogits(found[f"{view}-coarse"], found[f"{view}-fine"]) for view in self._views}

    def _held_out_by(self, name: str) -> RunFolder:
        for run in self._runs:
            split = run.split()
            if name not in split.training and name not in split.validation:
                return run
        raise InputError(
            f"No run held out the patient {name}.",
            "Give the runs of all folds (--segmentation-runs 'RUNS/fold{fold}'): a 3D correction network learns from "
            "what a network says of patients that are new to it.",
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
