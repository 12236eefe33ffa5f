"""``braintumorseg batch``: a folder or a list of studies in; a folder a study, a summary and its page out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.cli.paths import path
from BrainTumorSegLib.cli.stopping import stop_requests
from BrainTumorSegLib.cli.store import add_models_option, open_store
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.settings import CHOICES

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.service.cohort.batch import Batch, Step, Workers
    from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles

PLAN_NAME = "plan.csv"
SOME_FAILED = InputError.exit_code


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "batch",
        parents=[common],
        help="segment every study of a folder or a list, and go on where an earlier call stopped",
        description="Segment every study of a folder in any nesting (NIfTI, NRRD, MHA/MHD, DICOM exports, BIDS) or of "
        "a CSV with the columns id, flair, t1, t1c. OUT gets a folder for each study, summary.csv and summary.html. "
        "Called again it goes on where it stopped. Exit code 2 if any study failed.",
    )
    parser.add_argument("inputs", type=path, metavar="IN", help="folder of studies, or a CSV that lists them")
    parser.add_argument("output", type=path, metavar="OUT", help="folder for the results")
    parser.add_argument(
        "--list", action="store_true", help=f"show what would be done, and write it as OUT/{PLAN_NAME} to correct"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=_count, metavar="N", help="processes (default: by cores and memory)")
    where.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="do the studies on this Dask cluster instead")
    parser.add_argument("--redo", action="store_true", help="do all studies anew, also those that are done")
    parser.add_argument("--probability", action="store_true", help="also write each study's probability volume")
    add_models_option(parser)
    for choice in CHOICES:
        choice.add_option(parser)
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    """Raises ArgumentTypeError, which argparse tells the user, unless it is a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    from BrainTumorSegLib.engine.service.cohort.plan import plan_of

    studies = plan_of(arguments.inputs, arguments.output)
    return _list(arguments.inputs, arguments.output, studies) if arguments.list else _do(arguments, studies)


def _list(source: Path, folder: Path, studies: tuple[StudyFiles, ...]) -> int:
    from BrainTumorSegLib.engine.files import output_errors
    from BrainTumorSegLib.engine.service.cohort.table import write_table

    for study in studies:
        sequences = ", ".join(role.label for role in study.candidates)
        print(f"{study.name:<32} {sequences or '-':<32} {study.problem}".rstrip())
    wrong = sum(bool(study.problem) for study in studies)
    plan = folder / PLAN_NAME
    print(f"\n{len(studies) - wrong} of {len(studies)} can be segmented.")
    if plan.exists() and plan.samefile(source):
        print(f"{plan} stays as it is.")
        return 0
    with output_errors(plan):
        folder.mkdir(parents=True, exist_ok=True)
    write_table(plan, studies)
    print(f"To change that, correct {plan} and give it instead of {source}.")
    return 0


def _do(arguments: argparse.Namespace, studies: tuple[StudyFiles, ...]) -> int:
    from BrainTumorSegLib.engine.errors import Cancelled
    from BrainTumorSegLib.engine.service.cohort.batch import run_batch
    from BrainTumorSegLib.engine.service.cohort.plan import batch_of
    from BrainTumorSegLib.engine.settings import RunSettings

    batch = batch_of(
        studies,
        arguments.output,
        RunSettings.chosen(vars(arguments)),
        open_store(arguments),
        arguments.probability,
        arguments.redo,
    )
    with stop_requests() as is_cancelled, _study_bar(batch) as on_step:
        try:
            outcome = run_batch(batch, _workers(arguments), on_step, is_cancelled)
        except (Cancelled, KeyboardInterrupt) as error:
            raise Cancelled("The studies that are done are kept; the same command goes on from there.") from error
    print(outcome)
    print(f"summary       {outcome.summary}\npage          {outcome.page}")
    return SOME_FAILED if outcome.failed else 0


def _workers(arguments: argparse.Namespace) -> Workers:
    if arguments.scheduler:
        from BrainTumorSegLib.engine.service.cohort.cluster import ClusterWorkers, Engine

        return ClusterWorkers(arguments.scheduler, Engine(getattr(arguments, "models", None)))
    from BrainTumorSegLib.client.workers import LocalWorkers

    models = ["--models", str(arguments.models)] if "models" in arguments else []
    return LocalWorkers([sys.executable, "-m", "BrainTumorSegLib", "worker", *models], count=arguments.workers)


@contextmanager
def _study_bar(batch: Batch) -> Iterator[Callable[[Step], None]]:
    """Yields on_step: a bar on a terminal, and a line on stderr for each study that failed."""
    from tqdm import tqdm

    from BrainTumorSegLib.engine.service.cohort.rows import FAILED

    with tqdm(total=len(batch.studies), disable=None, leave=False, unit="study") as bar:

        def show(step: Step) -> None:
            bar.update(step.ended - bar.n)
            if step.row is not None and step.row.status == FAILED:
                tqdm.write(f"{step.row.study}: {step.row.message} {step.row.remedy}".rstrip(), file=sys.stderr)

        yield show
