"""What a run folder tells about how long a run was, how it went, and what of its recipe was changed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from brain_tumor_training.recipes.recipe import load_recipe
from brain_tumor_training.recipes.settings import Phase, TrainingSettings, settings_from
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError

_NOT_THE_RECIPE = ("source", "split")
"""The honest run has another split on purpose, which is said anyway."""


@dataclass(frozen=True)
class Curve:
    """Values at epochs, counted over all phases."""

    epochs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class RunHistory:
    """One run: epochs planned and really run, sampling of its last phase in pixels, seed, and its curves.

    kept_epoch: the one whose weights were kept, as the best on the watched slices; None where the last ones are.

    patients: all that its split names.

    settings: as the run folder keeps them. Everything here is plain, so that ``asdict`` can be stored as JSON and
    ``stored_history`` can read it again.
    """

    epochs_planned: float
    epochs_run: float
    kept_epoch: float | None
    size_px: int
    training_slices: int
    patients: int
    seed: int
    is_finished: bool
    training_loss: Curve
    validation_loss: Curve
    settings: Mapping[str, Any]

    @property
    def in_words(self) -> str:
        """How long it was, in a sentence."""
        ended = "" if self.is_finished else "; not finished"
        early = self.is_finished and self.epochs_run < self.epochs_planned - 0.5
        stopped = ", stopped early" if early else ""
        epoch = self.kept_epoch
        kept = "" if epoch is None else f", of which epoch {epoch:.3g} was the best on watched slices"
        length = f"{self.epochs_run:.3g} of {self.epochs_planned:.3g} epochs{stopped}{kept}"
        data = f"{self.training_slices} training slices at {self.size_px} px, seed {self.seed}"
        return f"{length}; {data}{ended}"

    def changes(self, recipe: str) -> list[str]:
        """Settings that differ from the recipe of today, each "name: recipe's -> run's", in terms of --set."""
        try:
            wanted = dict(_flat(asdict(load_recipe(recipe))))
        except InputError:
            return [f"the recipe {recipe} is not in this version"]
        found = dict(_flat(asdict(settings_from(self.settings))))
        return [
            f"{name}: {wanted.get(name)} -> {found.get(name)}"
            for name in [*wanted, *(name for name in found if name not in wanted)]
            if name.split(".")[0] not in _NOT_THE_RECIPE and wanted.get(name) != found.get(name)
        ]


def run_history(folder: Path) -> RunHistory:
    """The history of the run in a folder. Raises InputError if there is none."""
    run = RunFolder(folder)
    settings, split = run.settings(), run.split()
    slices = sum(len(some) for some in split.training.values())
    per_epoch = math.ceil(slices / settings.batch_size)
    starts = [0, *accumulate(_epochs(phase, per_epoch) for phase in settings.phases)]
    losses = {name: _curve(folder / f"{name}.csv", starts, per_epoch) for name in ("log", "validation")}
    return RunHistory(
        epochs_planned=starts[-1],
        epochs_run=max((*losses["log"].epochs, *losses["validation"].epochs), default=0.0),
        kept_epoch=_kept_epoch(folder, settings, starts, per_epoch),
        size_px=settings.phases[-1].size_px,
        training_slices=slices,
        patients=len({*split.training, *split.validation, *split.test}),
        seed=settings.seed,
        is_finished=run.is_finished,
        training_loss=losses["log"],
        validation_loss=losses["validation"],
        settings=asdict(settings),
    )


def stored_history(content: Mapping[str, Any]) -> RunHistory:
    """A history that was stored as JSON."""
    curves = {
        name: Curve(tuple(content[name]["epochs"]), tuple(content[name]["values"]))
        for name in ("training_loss", "validation_loss")
    }
    return RunHistory(**{**content, **curves})


def _epochs(phase: Phase, per_epoch: int) -> float:
    return phase.epochs if phase.epochs is not None else (phase.steps or 0) / per_epoch


def _curve(path: Path, starts: list[float], per_epoch: int, column: str = "loss") -> Curve:
    if not path.is_file():
        return Curve((), ())
    with path.open(newline="") as file:
        rows = [(int(row["phase"]), int(row["step"]), float(row[column])) for row in csv.DictReader(file)]
    return Curve(tuple(starts[phase] + step / per_epoch for phase, step, _ in rows), tuple(value for *_, value in rows))


def _kept_epoch(folder: Path, settings: TrainingSettings, starts: list[float], per_epoch: int) -> float | None:
    if settings.validation is None or not settings.keeps_best:
        return None
    watched = _curve(folder / "validation.csv", starts, per_epoch, settings.validation.monitor)
    if not watched.values:
        return None
    best = min(watched.values) if settings.validation.monitor == "loss" else max(watched.values)
    return watched.epochs[watched.values.index(best)]


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from _flat(value, f"{prefix}{name}.")
    elif isinstance(content, list | tuple) and content:
        for index, value in enumerate(content):
            yield from _flat(value, f"{prefix}{index}.")
    else:
        yield prefix[:-1], json.dumps(content)
