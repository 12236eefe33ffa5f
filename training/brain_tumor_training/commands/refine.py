"""``braintumorseg-train refine``: a slice network learns to take the whole study into account."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brain_tumor_training.commands.training_options import (
    add_change_option,
    add_device_option,
    add_run_options,
    parse_changes,
    step_bar,
)


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "refine",
        parents=[common],
        help="add to a trained network a 3D correction network, which sees the whole study",
        description="Train a 3D correction network, which corrects what the slices' network says, knowing the whole "
        "study. It learns from what each fold's network says of its held-out patients. The result is a "
        "finished run, to be calibrated, evaluated and exported; the same command goes on with an interrupted one.",
    )
    parser.add_argument("slices", type=Path, metavar="RUN", help="finished run of release_segmentation")
    parser.add_argument(
        "--segmentation-runs",
        required=True,
        metavar="PATTERN",
        help="runs of `fit --fold K` by the same recipe, {fold} standing for K",
    )
    parser.add_argument("--folds", type=Path, required=True, metavar="CSV", help="the folds of those runs")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="the runs' cache")
    parser.add_argument(
        "--logits", type=Path, required=True, metavar="DIR", help="what the folds' networks say, made once"
    )
    add_run_options(parser, "the new run's folder")
    add_device_option(parser)
    add_change_option(parser, "steps=1000")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.bundles.fold_bundles import run_of_fold
    from brain_tumor_training.data.folds import read_folds
    from brain_tumor_training.refinement.fit import RefineRequest, refine_run
    from brain_tumor_training.refinement.settings import changed_settings

    folds = sorted(set(read_folds(arguments.folds).values()))
    request = RefineRequest(
        slices=arguments.slices,
        held_out_by=[run_of_fold(arguments.segmentation_runs, fold) for fold in folds],
        cache=arguments.cache,
        logits=arguments.logits,
        run=arguments.run_folder,
        settings=changed_settings(parse_changes(arguments.set)),
        device=arguments.device or "auto",
    )
    with step_bar() as on_progress:
        print(refine_run(request, on_progress))
    return 0
