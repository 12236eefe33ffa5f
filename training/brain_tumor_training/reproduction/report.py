"""Published systems as Markdown: printed, reproduced as the authors did it, honest. An overview and a page each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from brain_tumor_training.recipes.recipe import Publication, load_recipe, publication, published_recipes, stand_ins
from brain_tumor_training.reproduction.explanation import explanation
from brain_tumor_training.reproduction.plots import pictures
from brain_tumor_training.reproduction.protocols import HONEST, LEAKY_RUN
from brain_tumor_training.reproduction.result import (
    COMPARABLE,
    Reproduced,
    comparable,
    find_reproductions,
    value_of,
)
from BrainTumorSegLib.engine.errors import InputError

_HEAD = """\
# Published systems, reproduced

Made by `braintumorseg-train report`; do not edit. **Leaky**: the authors' protocol, random slices, so that neighbouring
slices of one patient are on both sides. **Honest**: the same recipe, measured on the patients of a held-out fold.
What was not run is said to be missing. Each system's page has every metric with its 95 % interval over patients
(bootstrap), why the figures differ, and where its paper is silent or contradicts itself.
What this project's own models reach on the same patients, each held out, is in docs/measurements.md.

## Metrics
Both runs are measured on 2D slices as the network sees them, at probability 0.5, by the same definitions:

1. **Volumetric Dice per patient**: all slices of a patient as one mask; mean and median over patients. Under the leaky
   protocol only the slices of a patient that fell into the test share can count.
2. **Tumour-slice Dice and IoU**: mean over the slices whose reference is not empty.
3. **All-slice Dice and IoU with empty/empty = 1**: what papers on this data set print without saying so. Predicting
   nothing at all scores the share of tumour-free slices.
4. **Pooled-pixel Dice, IoU, Tversky index and pixel accuracy**: all pixels of all slices as one mask. The Tversky index
   weighs misses by 0.7 and false finds by 0.3.
5. **Slice classifier**: accuracy, sensitivity, specificity, precision, F1 and confusion matrix at probability 0.5, and
   ROC AUC.
6. **Surface distance** (HD95, NSD at 2 mm): not given, because the data set stores no spacing.
"""
_ROWS = {
    "volumetric_dice_mean": "volumetric Dice per patient, mean",
    "volumetric_dice_median": "volumetric Dice per patient, median",
    "tumour_slice_dice": "tumour-slice Dice",
    "tumour_slice_iou": "tumour-slice IoU",
    "all_slice_dice": "all-slice Dice, empty/empty = 1",
    "all_slice_iou": "all-slice IoU, empty/empty = 1",
    "pooled_pixel_dice": "pooled-pixel Dice",
    "pooled_pixel_iou": "pooled-pixel IoU",
    "pooled_pixel_tversky_index": "pooled-pixel Tversky index",
    "pooled_pixel_accuracy": "pooled-pixel accuracy",
    "roc_auc": "slice classifier, ROC AUC",
    "accuracy": "slice classifier, accuracy",
    "sensitivity": "slice classifier, sensitivity (recall of tumour)",
    "specificity": "slice classifier, specificity (recall of no tumour)",
    "precision": "slice classifier, precision",
    "f1": "slice classifier, F1",
}


def write_report(runs: Path, path: Path) -> tuple[int, int]:
    """Write the overview, and each system's page with its pictures into a folder beside it, named like the overview.

    Returns how many of how many systems were run. Raises InputError if ``runs`` is no folder.
    """
    if not runs.is_dir():
        raise InputError(f"{runs} is no folder.", "Give the one that holds the folders of `reproduce --run`.")
    found = find_reproductions(runs)
    names = sorted({*published_recipes(), *found})
    folder = path.parent / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, [_HEAD, *_overview(names, found, folder.name)])
    for name in names:
        _write(folder / f"{name}.md", _page(found[name], folder) if name in found else _missing(name))
    return len(set(names) & set(found)), len(names)


def section(reproduced: Reproduced, links: Sequence[str] = ()) -> list[str]:
    """The Markdown lines about one system. links: to its pictures."""
    known = publication(reproduced.recipe) if reproduced.recipe in published_recipes() else Publication({}, (), ())
    parts: list[Iterator[str] | Sequence[str]] = [
        _about(reproduced),
        _table(reproduced),
        _confusions(reproduced),
        [*links, ""] if links else [],
        ["**What explains the differences.**", *(f"- {line}" for line in explanation(reproduced)), ""],
        _notes(known),
    ]
    return [line for part in parts for line in part]


def _page(reproduced: Reproduced, folder: Path) -> list[str]:
    """A system's lines; its pictures are written beside them."""
    links = []
    for kind, content in pictures(reproduced).items():
        file = f"{reproduced.recipe}-{kind}.png"
        (folder / file).write_bytes(content)
        links.append(f"![{reproduced.recipe}: {kind.replace('-', ' ')}]({file})")
    return section(reproduced, links)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines).rstrip() + "\n")


def _overview(names: Sequence[str], found: Mapping[str, Reproduced], folder: str) -> Iterator[str]:
    yield "## Overview\n"
    yield "| system | printed | leaky, best matching definition | honest, the same | runs |"
    yield "|---|---|---|---|---|"
    for name in names:
        reproduced = found.get(name)
        original = publication(name).stands_in_for if name in published_recipes() else ""
        for kind, printed in _compared(name, original):
            state = "missing" if reproduced is None else _state(reproduced)
            values = ["–", "–"]
            if reproduced is not None and kind in COMPARABLE:
                key = comparable(reproduced, kind)
                values = [f"{value_of(one, key):.4f} ({_ROWS[key]})" for one in (reproduced.leaky, reproduced.honest)]
            unprinted = f"in the protocol of [{original}]({folder}/{original}.md)" if original else "–"
            shown = unprinted if printed is None else f"{kind} {printed:.4f}"
            yield f"| [{name}]({folder}/{name}.md) | {shown} | {' | '.join(values)} | {state} |"
    yield ""


def _state(reproduced: Reproduced) -> str:
    if not reproduced.is_shortened:
        return "as the recipe"
    history = reproduced.histories[LEAKY_RUN]
    return f"shortened: {history.epochs_planned:.3g} epochs at {history.size_px} px"


def _compared(name: str, original: str) -> list[tuple[str, float | None]]:
    """What the overview shows of a system, with what its authors print; a stand-in shows what its original prints."""
    if original:
        return [(kind, None) for kind in publication(original).reported]
    known = publication(name).reported if name in published_recipes() else {}
    return [*known.items()] or [("nothing", None)]


def _missing(name: str) -> Iterator[str]:
    known = publication(name)
    yield f"# {name}\n"
    yield f"{load_recipe(name).source.removesuffix('.')}. Printed by the authors: {_printed(known.reported)}.\n"
    yield "**Missing: this system was not trained here**, so nothing is reproduced. To run it:\n"
    yield "```sh"
    yield f"braintumorseg-train reproduce {name} --data DIR --cache CACHE --folds folds.csv --fold 0 --run RUNS/{name}"
    yield "```\n"
    for one in stand_ins(name):
        yield f"In the same protocol, from weights that can be had: [{one}]({one}.md).\n"
    yield from _notes(known)


def _about(reproduced: Reproduced) -> Iterator[str]:
    result = reproduced.result
    yield f"# {reproduced.recipe}\n"
    yield f"{result['source'].removesuffix('.')}. Printed by the authors: {_printed(result['reported'])}."
    yield (
        f"First weights: {result['init']}. Held-out fold {result['fold']}, seed of the bootstrap "
        f"{result['seeds']['bootstrap']}, revision {str(result['git_revision'] or 'unknown')[:12]}.\n"
    )
    for title, history in reproduced.histories.items():
        yield f"- {title} run: {history.in_words}."
    if reproduced.is_shortened:
        yield "- **Not the recipe's own run**, but changed as follows: " + "; ".join(reproduced.changes) + "."
    yield ""


def _table(reproduced: Reproduced) -> Iterator[str]:
    leaky, honest = reproduced.leaky, reproduced.honest
    nothing = honest.get("predicting_nothing", {})
    last = " | honest slices, predicting nothing |" if nothing else " |"
    yield (
        f"| metric | printed | leaky, {leaky['slices']} slices of {leaky['patients']} patients | honest, "
        f"{honest['slices']} slices of {honest['patients']} patients{last}"
    )
    yield "|---|---|---|---|" + ("---|" if nothing else "")
    for key, name in _ROWS.items():
        cells = [_cell(one, key) for one in (leaky, honest)]
        if cells == ["–", "–"]:
            continue
        printed = ", ".join(
            f"{v:.4f}" for kind, v in reproduced.result["reported"].items() if key in COMPARABLE.get(kind, ())
        )
        end = f" | {nothing[key]:.4f} |" if key in nothing else (" | – |" if nothing else " |")
        yield f"| {name} | {f'{printed}?' if printed else '–'} | {' | '.join(cells)}{end}"
    yield ""
    if reproduced.result["reported"]:
        yield "A printed value stands, with a question mark, in every row whose definition it could be of.\n"


def _confusions(reproduced: Reproduced) -> Iterator[str]:
    """Of a classifier: per class, as the poster's table has it."""
    if reproduced.result["task"] != "classification":
        return
    yield "| slices | class | precision | recall | F1 | support |"
    yield "|---|---|---|---|---|---|"
    for title, measured in ((LEAKY_RUN, reproduced.leaky), (HONEST, reproduced.honest)):
        counts = measured["at_threshold"]["0.5"]["confusion"]
        tn, fp, fn, tp = (counts[f"{kind}s"] for kind in _KINDS)
        for name, right, wrong, missed in (("no tumour", tn, fn, fp), ("tumour", tp, fp, fn)):
            shares = [_share(right, right + wrong), _share(right, right + missed)]
            f1 = _share(2 * right, 2 * right + wrong + missed)
            yield f"| {title} | {name} | {shares[0]} | {shares[1]} | {f1} | {right + missed} |"
    yield ""


_KINDS = ("true_negative", "false_positive", "false_negative", "true_positive")


def _notes(known: Publication) -> Iterator[str]:
    for title, notes in (
        ("Where the paper is silent, this was chosen.", known.chosen),
        ("Where the paper contradicts itself or the data.", known.contradictions),
    ):
        if notes:
            yield f"**{title}**"
            yield from (f"- {' '.join(note.split())}" for note in notes)
            yield ""


def _printed(reported: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in reported.items()) or "nothing"


def _cell(measured: Mapping[str, Any], key: str) -> str:
    found = measured.get(key, measured.get("at_threshold", {}).get("0.5", {}).get(key))
    if found is None or found["value"] is None:
        return "–"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:.4f}"
    return f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "–"
