"""``braintumorseg-train evaluate``: held-out patients through the command that users run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brain_tumor_training.evaluation_studies import Source


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add this command's grammar."""
    parser = commands.add_parser(
        "evaluate",
        parents=[common],
        help="measure a model on held-out patients",
        description="Write each held-out patient as a study, run `braintumorseg segment` on it in a process of its "
        "own, and compare. Writes metrics.json, per_patient.csv and per_slice.csv.",
    )
    parser.add_argument("output", type=Path, metavar="OUT_DIR", help="folder for the results")
    parser.add_argument("--data", type=Path, metavar="DIR", help="Kaggle's folder, or a CSV of your own NIfTI files")
    parser.add_argument("--folds", type=Path, metavar="CSV", help="folds by patient; without it all patients are taken")
    parser.add_argument("--fold", type=int, metavar="K", help="the held-out fold")
    parser.add_argument(
        "--external", type=Path, metavar="DIR", help="instead of --data: folders with flair, seg, t1c ..."
    )
    parser.add_argument(
        "--change", metavar="NAME", help="of --data: flair-only, brightness-3, sagittal ... (robustness)"
    )
    parser.add_argument(
        "--release", type=Path, metavar="DIR", help="models of this folder instead of the installed ones"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N patients only; named so in the result")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--model", metavar="NAME", help="model to evaluate (default: the default model)")
    parser.add_argument("--device", metavar="D", help="passed on to braintumorseg segment")
    add_segment_options(parser)
    parser.set_defaults(run=_run)


def add_segment_options(parser: argparse.ArgumentParser) -> None:
    """What is passed on to ``braintumorseg segment``, but its model and device."""
    group = parser.add_argument_group("passed on to braintumorseg segment")
    for option, metavar in (("--threshold", "T"), ("--gate", "T|off"), ("--min-volume", "ML")):
        group.add_argument(option, metavar=metavar)
    group.add_argument("--tta", action="store_true")
    group.add_argument("--register", action="store_true")


def segment_options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The options that were given for ``braintumorseg segment``, as it takes them."""
    names = ("model", "device", "threshold", "gate", "min_volume")
    given = [(f"--{name.replace('_', '-')}", getattr(arguments, name, None)) for name in names]
    values = [part for option, value in given if value is not None for part in (option, value)]
    return (*values, *(f"--{flag}" for flag in ("tta", "register") if getattr(arguments, flag)))


def _run(arguments: argparse.Namespace) -> int:
    from brain_tumor_training.evaluation import evaluate, summarise
    from brain_tumor_training.evaluation_files import table, write_evaluation
    from brain_tumor_training.segment_command import SegmentCommand

    sources = _sources(arguments)
    options = segment_options(arguments)
    with _code(arguments.release) as code, _patient_bar() as on_progress:
        outcomes = evaluate(sources, SegmentCommand(options, code), on_progress)
    summary = summarise(outcomes, arguments.seed)
    about = {"seed": arguments.seed, "fold": arguments.fold, "limit": arguments.limit, "options": list(options)}
    about |= {"change": arguments.change}
    write_evaluation(arguments.output, outcomes, summary, about)
    print(table(summary))
    return 0


def _sources(arguments: argparse.Namespace) -> Sequence[Source]:
    from brain_tumor_training.evaluation_studies import data_sources, folder_sources
    from brain_tumor_training.kaggle import read_folds, split
    from brain_tumor_training.study_changes import CHANGES
    from BrainTumorSegLib.engine.errors import InputError

    if (arguments.data is None) == (arguments.external is None):
        raise InputError("Which studies to evaluate is not clear.", "Give either --data or --external.")
    if (arguments.folds is None) != (arguments.fold is None):
        raise InputError("A fold needs a folds file and a number.", "Give both --folds and --fold, or neither.")
    if arguments.change is not None and (arguments.external is not None or arguments.change not in CHANGES):
        raise InputError(
            f"Studies can't be changed by '{arguments.change}'.", f"With --data, choose one of {', '.join(CHANGES)}."
        )
    if arguments.external is not None:
        return folder_sources(arguments.external)[: arguments.limit]
    sources = data_sources(arguments.data, arguments.change)
    names = list(sources)
    if arguments.folds is not None:
        names = split(names, read_folds(arguments.folds), arguments.fold)[1]
    return [sources[name] for name in names][: arguments.limit]


@contextmanager
def _code(release: Path | None) -> Iterator[Path | None]:
    from brain_tumor_training.staging import staged_checkout

    if release is None:
        yield None
        return
    with staged_checkout(release) as code:
        yield code


@contextmanager
def _patient_bar() -> Iterator[Any]:
    from tqdm import tqdm

    with tqdm(desc="Evaluating", unit="patient", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
