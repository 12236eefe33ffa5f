"""One training run from a recipe, a data set and a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from brain_tumor_training.data.cache import cached_names, load_cache
from brain_tumor_training.data.folds import read_folds, split_patients
from brain_tumor_training.data.splits import Split, make_split, pool_of
from brain_tumor_training.fitting.batches import LoadPools, Pools
from brain_tumor_training.fitting.distributed import Processes
from brain_tumor_training.fitting.initialisation import initialised_network
from brain_tumor_training.fitting.trainer import Progress, Trainer
from brain_tumor_training.recipes.settings import TrainingSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.device import choose


@dataclass(frozen=True)
class FitRequest:
    """What to train on what. cache: made by ``prepare`` from the data. fold: held out of ``folds``; None trains on all.

    weights: see initialisation.
    """

    settings: TrainingSettings
    cache: Path
    run: Path
    folds: Path | None = None
    fold: int | None = None
    device: str = "auto"
    weights: Path | None = None


def fit(
    request: FitRequest,
    on_progress: Progress = lambda _done, _all, _loss: None,
    stop_after: int | None = None,
) -> Path | None:
    """Trains, or goes on with an interrupted run, and returns the finished weights' path (None if stopped before).

    Raises InputError for what does not fit together, ModelError where first weights can't be had.
    """
    processes = Processes.of_environment()
    compute = choose(processes.device_name(request.device))
    run = RunFolder(request.run)
    run.refuse_other(request.settings)
    if run.is_finished:
        return run.weights
    names = training_names(request)
    split_of_run = make_split(load_cache(request.cache, names, request.settings.phases[0].size_px), request.settings)
    with processes.joined(compute.device):
        if processes.is_first:
            run.begin(request.settings, split_of_run, compute)
        network = initialised_network(request.settings, request.weights)
        trainer = Trainer(network, request.settings, compute, request.run, processes)
        return trainer.fit(_loader(request, names, split_of_run), on_progress, stop_after)


def fit_settings(
    settings: TrainingSettings, cache: str, run: str, folds: str | None = None, fold: int | None = None
) -> Path | None:
    """``fit`` with paths as text, for ``python -m monai.bundle run``. Raises InputError where a path is missing."""
    if not cache or not run:
        raise InputError("The recipe does not say where to work.", "Give --cache DIR and --run_folder DIR.")
    return fit(FitRequest(settings, Path(cache), Path(run), Path(folds) if folds else None, fold))


def training_names(request: FitRequest) -> list[str]:
    """Patients of the cache that are not held out. Raises InputError for half a fold."""
    if (request.folds is None) != (request.fold is None):
        raise InputError("A fold needs a folds file and a number.", "Give both --folds and --fold, or neither.")
    names = cached_names(request.cache)
    if request.folds is None or request.fold is None:
        return names
    return split_patients(names, read_folds(request.folds), request.fold)[0]


def _loader(request: FitRequest, names: list[str], split_of_run: Split) -> LoadPools:
    # Phases of one sampling share their pools, so that a GPU is sent them once.
    @lru_cache(maxsize=1)
    def load(size_px: int) -> Pools:
        patients = load_cache(request.cache, names, size_px)
        validation = pool_of(patients, split_of_run.validation) if split_of_run.validation else None
        return Pools(pool_of(patients, split_of_run.training), validation)

    return load
