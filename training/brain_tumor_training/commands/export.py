"""``braintumorseg-train export`` and ``calibrate``: from a finished run to a model that can be released."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

RECOMMENDATIONS = ("temperature", "threshold", "gate", "min_volume_ml")


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add both commands' grammar."""
    _add_calibrate(commands, common)
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="write a finished run as a MONAI bundle into a release folder",
        description="Write a finished run as a MONAI bundle into a release folder and list it in its index.json.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--version", default="1.0.0", help="its version (default: 1.0.0)")
    parser.add_argument("--release", type=Path, default=Path("release"), metavar="DIR", help="default: release")
    parser.add_argument("--title", help="for people (default: the name)")
    parser.add_argument("--description", help="a sentence or two (default: the title)")
    parser.add_argument("--classifier", metavar="NAME", help="of a segmentation: its slice classifier's name")
    parser.add_argument("--metrics", type=Path, metavar="JSON", help="metrics.json of an evaluation of this model")
    parser.add_argument(
        "--measured",
        metavar="SENTENCE",
        help="how the metrics came about, where not by these weights on held-out patients",
    )
    for name in RECOMMENDATIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help="instead of what calibration chose")
    parser.set_defaults(run=_export)


def _add_calibrate(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "calibrate",
        parents=[common],
        help="choose temperature, threshold and gate on a run's validation patients",
        description="Choose temperature and threshold (segmentation) or gate (classifier) on the patients that the run "
        "kept aside for validation; export takes them over.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="the run's cache")
    parser.add_argument("--device", default="auto", metavar="D", help="default: auto")
    parser.set_defaults(run=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.calibration.run_calibration import calibrate_run

    found = calibrate_run(arguments.run_folder, arguments.cache, arguments.device)
    print(f"{found.recommendation} on {found.patients} patients")
    print(f"negative log-likelihood {found.before.log_loss:.5f} -> {found.after.log_loss:.5f}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.bundles.description import MEASURED
    from brain_tumor_training.bundles.export import ExportRequest, export_run, metrics_of
    from brain_tumor_training.bundles.plots import bundle_plots
    from brain_tumor_training.runs.run_folder import RunFolder
    from BrainTumorSegLib.engine.networks.registry import NETWORKS

    run = RunFolder(arguments.run_folder)
    run.require_finished()
    task = NETWORKS[run.settings().network].task
    chosen = {name: getattr(arguments, name) for name in RECOMMENDATIONS}
    title = arguments.title or arguments.name
    request = ExportRequest(
        name=arguments.name,
        version=arguments.version,
        title=title,
        description=arguments.description or title,
        classifier=arguments.classifier,
        recommendation={name: value for name, value in chosen.items() if value is not None},
        metrics=metrics_of(arguments.metrics) if arguments.metrics else {},
        measured=arguments.measured or MEASURED,
        plots=bundle_plots(arguments.run_folder, arguments.metrics, task),
    )
    print(export_run(arguments.run_folder, request, arguments.release))
    return 0
