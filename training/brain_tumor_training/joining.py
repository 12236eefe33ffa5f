"""Two finished runs of the same patients, at full and at half sampling, joined to one that averages them."""

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
from BrainTumorSegLib.engine.networks.resunet_plus_plus_fine_coarse import REDUCTION
from BrainTumorSegLib.engine.preprocessing import SIZE_PX

MEMBERS = "members.json"
MEMBER_NETWORK = "ResUNetPlusPlusLite0"
COARSE_PX = SIZE_PX // REDUCTION


def join_runs(fine: Path, coarse: Path, run: Path) -> Path:
    """Writes ``run``, a finished run of ResUNetPlusPlusFineCoarse, and returns the path of its weights.

    Its settings are the fine run's with the other network; members.json keeps those of both. Raises InputError for
    runs that don't fit: unfinished, of another network, sampling or channels, or not trained on the very same slices.
    """
    members = {"fine": RunFolder(fine), "coarse": RunFolder(coarse)}
    settings = _member_settings(members["fine"], SIZE_PX)
    if list(settings.channels) != list(_member_settings(members["coarse"], COARSE_PX).channels):
        raise InputError(f"{fine} and {coarse} take different channels.", "Train both on the same channels.")
    if members["fine"].split() != members["coarse"].split():
        raise InputError(
            f"{fine} and {coarse} were not trained on the same slices.", "Give two runs of one fold and one protocol."
        )
    return _write(members, replace(settings, network="ResUNetPlusPlusFineCoarse"), run)


def _member_settings(run: RunFolder, size_px: int) -> TrainingSettings:
    settings = settings_of_run(run)
    last = settings.phases[-1].size_px
    if settings.network != MEMBER_NETWORK or last != size_px:
        raise InputError(
            f"{run.path} is a run of {settings.network} at {last} pixels, not of {MEMBER_NETWORK} at {size_px}.",
            "Give a run of release_segmentation as the fine and of ablation_coarse as the coarse one.",
        )
    return settings


def _write(members: Mapping[str, RunFolder], settings: TrainingSettings, run: Path) -> Path:
    """members: finished runs by the name of the part of the network that they are."""
    network = build_network(settings.network, settings.arguments)
    for name, member in members.items():
        network.get_submodule(name).load_state_dict(member.finished_weights())
    target = RunFolder(run)
    target.begin(settings, members["fine"].split(), choose("cpu"))
    (run / MEMBERS).write_text(json.dumps({name: one.settings() for name, one in members.items()}, indent=1) + "\n")
    target.finish(network.state_dict())
    return target.weights
