"""An evaluation as files and as a table: metrics.json, per_patient.csv, per_slice.csv."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.evaluation.summary import reliability_of
from brain_tumor_training.metrics import overlap
from brain_tumor_training.metrics.bootstrap import Estimate


def write_evaluation(
    folder: Path,
    outcomes: Sequence[PatientOutcome],
    summary: Mapping[str, Any],
    groups: Mapping[str, Any],
    about: Mapping[str, Any],
    ungated: Sequence[PatientOutcome] | None = None,
) -> None:
    """Writes metrics.json (the summary and what made it), per_patient.csv and per_slice.csv into ``folder``.

    groups: of ``subgroups``. ungated: the same patients with the gate off; per_patient.csv then has their Dice too, and
    per_slice.csv the maximum probability of every slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = ungated if ungated is not None else [None] * len(outcomes)
    content = {
        "about": {**about, **_made_by(outcomes)},
        "metrics": plain(summary),
        "subgroups": plain(groups),
        "reliability": plain(reliability_of(ungated if ungated is not None else outcomes)),
    }
    (folder / "metrics.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    pairs = list(zip(outcomes, others, strict=True))
    write_csv(folder / "per_patient.csv", (_patient_row(*pair) for pair in pairs))
    write_csv(folder / "per_slice.csv", (row for one, other in pairs for row in _slice_rows(one, other or one)))


def _made_by(outcomes: Sequence[PatientOutcome]) -> dict[str, Any]:
    """The program's own words; settings and models as a list where folds have their own."""
    first = outcomes[0].report
    same = {name: first[name] for name in ("device", "precision", "software")}
    varying = {}
    for name in ("models", "settings"):
        kinds = {json.dumps(one.report[name], sort_keys=True): one.report[name] for one in outcomes}
        varying[name] = first[name] if len(kinds) == 1 else list(kinds.values())
    return same | varying


def plain(value: Any) -> Any:
    """The same as JSON can hold it: estimates as objects, what is not finite as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def table(summary: Mapping[str, Any]) -> str:
    """The summary in lines: name, value and interval."""
    rows = list(_flat("", summary))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {_text(value)}" for name, value in rows)


def _flat(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _text(value: Any) -> str:
    if isinstance(value, Estimate):
        return f"{value.value:.4f}  [{value.low:.4f}, {value.high:.4f}]"
    return f"{value:.4f}" if isinstance(value, float) else str("-" if value is None else value)


def _patient_row(outcome: PatientOutcome, ungated: PatientOutcome | None) -> dict[str, Any]:
    counts = outcome.counts
    return {
        "patient": outcome.name,
        "volumetric_dice": f"{outcome.volumetric_dice:.5f}",
        "volumetric_dice_gate_off": "" if ungated is None else f"{ungated.volumetric_dice:.5f}",
        "tumour_slice_dice": f"{overlap.tumour_slice_dice([counts]):.5f}",
        "all_slice_dice": f"{overlap.all_slice_dice([counts]):.5f}",
        "reference_ml": f"{counts.reference_voxels * outcome.voxel_volume_ml:.3f}",
        "predicted_ml": f"{counts.predicted_voxels * outcome.voxel_volume_ml:.3f}",
        "false_positive_ml_on_tumour_free_slices": f"{outcome.false_positive_volume_ml:.3f}",
        "sequences": " ".join(outcome.sequences),
        "hd95_mm": "" if outcome.surface is None else f"{outcome.surface.hd95_mm:.2f}",
        "nsd_2mm": "" if outcome.surface is None else f"{outcome.surface.nsd_2mm:.4f}",
        "slices": len(counts.with_tumour),
        "slices_segmented": outcome.slices_segmented,
        "model": outcome.report["models"]["segmentation"]["sha256"][:12],
        "gate": f"{outcome.gate:g}",
        "threshold": f"{outcome.report['settings']['threshold']:g}",
        "seconds": f"{outcome.seconds:.2f}",
    }


def _slice_rows(outcome: PatientOutcome, whole: PatientOutcome) -> Iterator[dict[str, Any]]:
    """whole: what knows the maximum probability of every slice."""
    counts, scores = outcome.counts, outcome.classifier_scores
    for index, maximum in enumerate(whole.maximum_probability):
        yield {
            "patient": outcome.name,
            "slice": index,
            "with_tumour": int(counts.with_tumour[index]),
            "classifier_score": "" if scores is None else scores[index],
            "maximum_probability": f"{maximum:.5f}",
            "true_positives": counts.true_positives[index],
            "false_positives": counts.false_positives[index],
            "false_negatives": counts.false_negatives[index],
        }


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows that all have the first one's columns; at least one."""
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
