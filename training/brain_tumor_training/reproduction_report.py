"""Reproductions as one Markdown page: printed, reproduced under the authors' protocol, honest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from brain_tumor_training.reproduction import RESULT
from BrainTumorSegLib.engine.errors import InputError

_HEAD = """\
# Published systems, reproduced

Made by `braintumorseg-train report`; do not edit. Every figure is on 2D slices as the network sees them, at probability
0.5, in all definitions; square brackets are 95 % intervals over patients (bootstrap). **Leaky**: the authors' protocol,
random slices, so that neighbouring slices of one patient are on both sides. **Honest**: patients of the held-out fold,
trained with the same recipe. Where the two differ, the difference is what memorised patients are worth; where "all
slices" is far above "tumour slices", it is what empty slices that count as 1 are worth (predicting nothing at all
scores the share of tumour-free slices, 0.65 in this data set).
"""


def write_report(runs: Path, path: Path) -> int:
    """Writes the page for every reproduction below ``runs``; returns how many. Raises InputError if there is none."""
    results = [json.loads(file.read_text()) for file in sorted(runs.glob(f"**/{RESULT}"))]
    if not results:
        raise InputError(f"{runs} holds no reproduction.", "Run `braintumorseg-train reproduce` first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(results))
    return len(results)


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown text."""
    return "\n".join([_HEAD, *(line for result in results for line in _section(result))]) + "\n"


def _section(result: Mapping[str, Any]) -> Iterator[str]:
    leaky, honest = result["authors_protocol_leaky"], result["honest_protocol"]
    printed = ", ".join(f"{name} {value:.4f}" for name, value in result["reported"].items()) or "nothing"
    yield f"## {result['recipe']}\n"
    yield f"{result['source']}. Printed by the authors: {printed}. First weights: {result['init']}. Seed "
    yield f"{result['seed']}, held-out fold {result['fold']}, revision {str(result['git_revision'])[:12]}.\n"
    patients = honest["patients"]
    yield f"| metric | leaky, {leaky['slices']} slices | honest, {honest['slices']} slices of {patients} patients |"
    yield "|---|---|---|"
    left, right = dict(_flat(leaky)), dict(_flat(honest))
    for name in left:
        yield f"| {name.replace('_', ' ')} | {left[name]} | {right.get(name, '–')} |"
    yield ""


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, Mapping) and {"value", "low", "high"} == set(value):
            yield prefix + name, _estimate(value)
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}: ")
        elif name not in ("slices", "patients"):
            yield prefix + name, f"{value:.4f}" if isinstance(value, float) else str(value)


def _estimate(value: Mapping[str, float | None]) -> str:
    if value["value"] is None:
        return "–"
    if value["low"] is None or value["high"] is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"
