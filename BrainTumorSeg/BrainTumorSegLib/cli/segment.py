"""``braintumorseg segment``: one study in; segmentation, probability, report and preview out."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.cli.progress import stage_bar
from BrainTumorSegLib.cli.rendering import REMEDIES
from BrainTumorSegLib.cli.stopping import stop_requests
from BrainTumorSegLib.cli.store import add_models_option, open_store
from BrainTumorSegLib.engine.inference.settings import gate_from_text

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmentJob


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "segment",
        parents=[common],
        help="segment the tumour of one study",
        description="Segment the tumour of one study. Inputs: NIfTI, NRRD, MHA/MHD, or a folder with one DICOM series; "
        "the sequences may have different grids. The outputs lie on FLAIR's grid.",
    )
    _add_files(parser)
    _add_choices(parser)
    parser.set_defaults(run=_run)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--flair", type=Path, required=True, metavar="F", help="FLAIR")
    parser.add_argument("--t1", type=Path, metavar="A", help="T1 before contrast")
    parser.add_argument("--t1c", type=Path, metavar="B", help="T1 after contrast")
    parser.add_argument("--output", type=Path, required=True, metavar="OUT.seg.nrrd", help="segmentation to write")
    parser.add_argument("--probability", type=Path, metavar="P.nrrd", help="probability volume to write")
    parser.add_argument("--report", type=Path, metavar="R.json", help="report to write")
    parser.add_argument("--preview", type=Path, metavar="V.png", help="preview picture to write")


def _add_choices(parser: argparse.ArgumentParser) -> None:
    add_models_option(parser)
    parser.add_argument("--model", metavar="NAME", help="model to use (see `braintumorseg models list`)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N|mps", help="default: auto")
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="tumour probability that counts, 0-1 (default: the model's)"
    )
    parser.add_argument(
        "--gate",
        type=gate_from_text,
        metavar="T|off",
        help="slice probability below which slices are left out, 0-1; off segments every slice (default: the model's)",
    )
    parser.add_argument(
        "--min-volume", type=float, metavar="ML", help="drop lesions smaller than this, in mL (default: the model's)"
    )
    parser.add_argument(
        "--tta",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="average with the mirrored study; --no-tta is faster and a little less accurate (default: average)",
    )
    parser.add_argument("--register", action="store_true", help="register T1 and T1c rigidly to FLAIR first")


def _run(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.measurement.result import summarise
    from BrainTumorSegLib.engine.service.run import SegmenterCache, run_job

    job = _job(arguments)
    with stop_requests() as is_cancelled, stage_bar() as on_progress:
        result = run_job(job, SegmenterCache(partial(open_store, arguments)), on_progress, is_cancelled)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for remedy in result.study.remedies:
        print(f"hint: {REMEDIES[remedy]}", file=sys.stderr)
    print(summarise(result))
    _print_files(job.outputs)
    return 0


def _job(arguments: argparse.Namespace) -> SegmentJob:
    from BrainTumorSegLib.engine.inference.settings import SegmentSettings
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmentJob
    from BrainTumorSegLib.engine.study.reading import StudyPaths

    return SegmentJob(
        inputs=StudyPaths(arguments.flair, arguments.t1, arguments.t1c),
        outputs=OutputPaths(arguments.output, arguments.probability, arguments.report, arguments.preview),
        settings=SegmentSettings(arguments.threshold, arguments.gate, arguments.min_volume, arguments.tta),
        model=arguments.model,
        device=arguments.device,
        register=arguments.register,
    )


def _print_files(outputs: OutputPaths) -> None:
    for name in ("segmentation", "probability", "report", "preview"):
        if (path := getattr(outputs, name)) is not None:
            print(f"{name:<13} {path}")
