"""A published system under its authors' protocol, which leaks, and beside it under the honest one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from brain_tumor_training.data.cache import cached_names, load_cache
from brain_tumor_training.data.folds import read_folds, split_patients
from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.data.splits import pool_of
from brain_tumor_training.evaluation.files import plain
from brain_tumor_training.fitting.fit import FitRequest, fit
from brain_tumor_training.fitting.prediction import predict
from brain_tumor_training.fitting.trainer import Progress
from brain_tumor_training.fitting.validation import counts_of, scored_slices
from brain_tumor_training.metrics import overlap
from brain_tumor_training.metrics.bootstrap import patient_bootstrap
from brain_tumor_training.metrics.slice_classification import classifier_metrics
from brain_tumor_training.recipes.settings import LEAKY, SplitSettings, TrainingSettings
from brain_tumor_training.runs.history import run_history
from brain_tumor_training.runs.run_folder import RunFolder, git_revision
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.inference.device import choose
from BrainTumorSegLib.engine.networks.registry import build_network

RESULT = "reproduction.json"
LEAKY_RUN, HONEST = "leaky", "honest"
"""The two runs, and their folders."""
_THRESHOLD = 0.5
_RESAMPLES = 500


@dataclass(frozen=True)
class Reproduction:
    """What to reproduce. request: its settings have the leaky protocol; folds and fold are those of the honest run."""

    recipe: str
    request: FitRequest
    reported: Mapping[str, float]
    seed: int = 0

    def run(self, on_progress: Progress = lambda _done, _all, _loss: None) -> dict[str, Any]:
        """Trains twice and writes reproduction.json into the run folder. Goes on where an interrupted call was.

        Both runs are measured on 2D slices as the network sees them, at probability 0.5, by the same definitions:
        they compare protocols, and are not what ``evaluate`` measures. Raises InputError without a fold.
        """
        if self.request.fold is None or self.request.settings.split.protocol != LEAKY:
            raise InputError("There is nothing to compare.", "Choose a published recipe and give --folds and --fold.")
        result = {
            "recipe": self.recipe,
            "source": self.request.settings.source,
            "init": self.request.settings.init,
            "task": self.request.settings.task,
            "reported": dict(self.reported),
            "seeds": {"bootstrap": self.seed, "training": self.request.settings.seed},
            "authors_protocol_leaky": self._leaky(on_progress),
            "honest_protocol": self._honest(on_progress),
            "runs": {name: asdict(run_history(self.request.run / name)) for name in (LEAKY_RUN, HONEST)},
            "fold": self.request.fold,
            "git_revision": git_revision(),
        }
        with atomic_path(self.request.run / RESULT) as temporary:
            temporary.write_text(json.dumps(plain(result), indent=1, allow_nan=False) + "\n")
        return result

    def _leaky(self, on_progress: Progress) -> dict[str, Any]:
        request = replace(self.request, run=self.request.run / LEAKY_RUN, folds=None, fold=None)
        fit(request, on_progress)
        patients = load_cache(request.cache, cached_names(request.cache), request.settings.phases[-1].size_px)
        return self._measure(request, pool_of(patients, RunFolder(request.run).split().test))

    def _honest(self, on_progress: Progress) -> dict[str, Any]:
        settings = replace(self.request.settings, split=SplitSettings())
        request = replace(self.request, settings=settings, run=self.request.run / HONEST)
        fit(request, on_progress)
        if request.folds is None or request.fold is None:
            raise InputError("A fold needs a folds file and a number.", "Give both --folds and --fold.")
        names = split_patients(cached_names(request.cache), read_folds(request.folds), request.fold)[1]
        return self._measure(request, SlicePool.of_all(load_cache(request.cache, names, settings.phases[-1].size_px)))

    def _measure(self, request: FitRequest, pool: SlicePool) -> dict[str, Any]:
        compute = choose(request.device)
        network = build_network(request.settings.network, request.settings.arguments)
        network.load_state_dict(RunFolder(request.run).finished_weights())
        return measure_pool(network.to(compute.device), pool, request.settings, compute, self.seed)


def measure_pool(network: Any, pool: SlicePool, settings: TrainingSettings, compute: Any, seed: int) -> dict[str, Any]:
    """Every metric of the slices of a pool, with intervals over the patients they come from."""
    found = list(predict(network, pool, settings, compute))
    size = {"slices": len(pool), "patients": len(found)}
    if settings.task == "classification":
        return {**size, **classifier_metrics([scored_slices(one) for one in found], [_THRESHOLD], seed)}
    counts = [counts_of(one) for one in found]
    empty = [overlap.count_slices(np.zeros_like(one.mask), one.mask) for one in found]
    dice = [overlap.volumetric_dice(one) for one in counts]
    return {
        **size,
        "volumetric_dice_mean": patient_bootstrap(dice, lambda some: float(np.mean(some)), seed),
        "volumetric_dice_median": patient_bootstrap(dice, lambda some: float(np.median(some)), seed),
        **{name: patient_bootstrap(counts, metric, seed, _RESAMPLES) for name, metric in overlap.SLICE_METRICS.items()},
        "predicting_nothing": {name: metric(empty) for name, metric in overlap.SLICE_METRICS.items()},
    }
