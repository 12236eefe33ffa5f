"""``braintumorseg segment``: one study in; segmentation, probability, report and preview out."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.cli.paths import path
from BrainTumorSegLib.cli.progress import stage_bar
from BrainTumorSegLib.cli.rendering import REMEDIES
from BrainTumorSegLib.cli.stopping import insisting, stop_requests
from BrainTumorSegLib.cli.store import add_models_option, open_store
from BrainTumorSegLib.engine.settings import CHOICES

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
    add_models_option(parser)
    for choice in CHOICES:
        choice.add_option(parser)
    parser.set_defaults(run=_run)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--flair", type=path, required=True, metavar="F", help="FLAIR")
    parser.add_argument("--t1", type=path, metavar="A", help="T1 before contrast")
    parser.add_argument("--t1c", type=path, metavar="B", help="T1 after contrast")
    parser.add_argument("--output", type=path, required=True, metavar="OUT.seg.nrrd", help="segmentation to write")
    parser.add_argument("--probability", type=path, metavar="P.nrrd", help="probability volume to write")
    parser.add_argument("--report", type=path, metavar="R.json", help="report to write")
    parser.add_argument("--preview", type=path, metavar="V.png", help="preview picture to write")
    parser.add_argument(
        "--page", type=path, metavar="PAGE.pdf", help="one-page report to write for people; .pdf or .html"
    )
    parser.add_argument("--lesions", type=path, metavar="L.csv", help="table of lesions to write")
    parser.add_argument("--slices", type=path, metavar="S.csv", help="table of slices to write")
    parser.add_argument(
        "--dicom-seg", type=path, metavar="OUT.dcm", help="DICOM segmentation to write, in the study of a DICOM FLAIR"
    )


def _run(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.measurement.result import summarise
    from BrainTumorSegLib.engine.service.run import SegmenterCache, run_job

    job = _job(arguments)
    with stop_requests() as is_cancelled, insisting(is_cancelled), stage_bar() as on_progress:
        result = run_job(job, SegmenterCache(partial(open_store, arguments)), on_progress, is_cancelled)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for remedy in result.study.remedies:
        print(f"hint: {REMEDIES[remedy]}", file=sys.stderr)
    print(summarise(result))
    _print_files(job.outputs)
    return 0


def _job(arguments: argparse.Namespace) -> SegmentJob:
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmentJob
    from BrainTumorSegLib.engine.settings import RunSettings
    from BrainTumorSegLib.engine.study.reading import StudyPaths

    return SegmentJob(
        inputs=StudyPaths(arguments.flair, arguments.t1, arguments.t1c),
        outputs=OutputPaths.chosen(arguments.output, vars(arguments)),
        settings=RunSettings.chosen(vars(arguments)),
    )


def _print_files(outputs: OutputPaths) -> None:
    for name, written in outputs.by_name().items():
        print(f"{name:<13} {written}")
