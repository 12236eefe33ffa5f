"""Finished runs made of other finished runs: a fine and a coarse one averaged, and a coarse one as slice classifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from brain_tumor_training.recipe import settings_of_run
from brain_tumor_training.run_folder import RunFolder
from brain_tumor_training.settings import TrainingSettings
from BrainTumorSegLib.engine.device import choose
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.networks.registry import build_network

MEMBERS = "members.json"
_JOINED, _CLASSIFIER = "ResUNetPlusPlusFineCoarse", "ResUNetPlusPlusClassifier"


def join_runs(fine: Path, coarse: Path, run: Path) -> Path:
    """Writes ``run``, a finished run of ResUNetPlusPlusFineCoarse, and returns the path of its weights.

    Its settings are the fine run's with the other network; members.json keeps those of both. Raises InputError for
    runs that don't fit: unfinished, of other networks or channels, or not trained on the very same slices.
    """
    members = {"fine": RunFolder(fine), "coarse": RunFolder(coarse)}
    if members["fine"].split() != members["coarse"].split():
        raise InputError(
            f"{fine} and {coarse} were not trained on the same slices.", "Give two runs of one fold and one protocol."
        )
    settings = settings_of_run(members["fine"])
    if list(settings.channels) != list(settings_of_run(members["coarse"]).channels):
        raise InputError(f"{fine} and {coarse} take different channels.", "Train both on the same channels.")
    return _derive(members, replace(settings, network=_JOINED, arguments=_arguments(settings)), run)


def classifier_run(coarse: Path, run: Path) -> Path:
    """Writes ``run``, a coarse run as a finished run of ResUNetPlusPlusClassifier; returns the path of its weights.

    Raises InputError for a run that is unfinished or of another network.
    """
    source = RunFolder(coarse)
    settings = settings_of_run(source)
    settings = replace(settings, task="classification", network=_CLASSIFIER, arguments=_arguments(settings))
    return _derive({"outline": source}, settings, run)


def _arguments(settings: TrainingSettings) -> dict[str, int]:
    return {"input_channels": len(settings.channels)}


def _derive(members: Mapping[str, RunFolder], settings: TrainingSettings, run: Path) -> Path:
    """members: finished runs by the name of the part of the network that they are."""
    weights = {name: folder.finished_weights() for name, folder in members.items()}
    network = build_network(settings.network, settings.arguments)
    for name, state in weights.items():
        try:
            network.get_submodule(name).load_state_dict(state)
        except RuntimeError as error:
            used = members[name].settings()
            raise InputError(
                f"{members[name].path} is a run of {used['network']} {used['arguments']}: that is no {name} part.",
                "Give a run of release_segmentation as the fine and of release_segmentation_coarse as the coarse one.",
            ) from error
    target = RunFolder(run)
    target.begin(settings, next(iter(members.values())).split(), choose("cpu"))
    (run / MEMBERS).write_text(json.dumps({name: one.settings() for name, one in members.items()}, indent=1) + "\n")
    target.finish(network.state_dict())
    return target.weights
