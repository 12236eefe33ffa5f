"""Lesions and slices as CSV, for spreadsheets and statistics: one row each, units in the heads."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LESION_COLUMNS = (
    *("lesion", "volume_ml", "longest_diameter_mm", "axial_diameter_mm", "axial_diameter_across_mm"),
    *("centroid_r_mm", "centroid_a_mm", "centroid_s_mm", "first_slice", "last_slice"),
)
SLICE_COLUMNS = (
    *("slice", "position_mm", "tumour_probability", "segmented", "area_mm2", "mean_uncertainty"),
    *("review_rank", "review_reason", "review_sentence"),
)


def save_lesions(report: Mapping[str, Any], path: Path) -> None:
    """Write the lesions of a report (see ``build_report``), largest first. Slices count from 1, the lowest."""
    rows = (
        [
            *(lesion["id"], lesion["volume_ml"], lesion["longest_diameter_mm"]),
            *lesion["axial_diameters_mm"],
            *lesion["centroid_ras"],
            *(index + 1 for index in lesion["slices"]),
        ]
        for lesion in report["lesions"]
    )
    _write(path, LESION_COLUMNS, rows)


def save_slices(report: Mapping[str, Any], path: Path) -> None:
    """Write the slices of a report, the lowest first and counted from 1; review_rank 1 needs a look most."""
    needs = {need["index"]: (rank, need) for rank, need in enumerate(report["review"], start=1)}
    rows = []
    for one in report["slices"]:
        rank, need = needs.get(one["index"], ("", {"reason": "", "sentence": ""}))
        measures = [one["position_mm"], one["tumour_probability"], int(one["segmented"]), one["area_mm2"]]
        rows.append(
            [one["index"] + 1, *measures, one["mean_uncertainty"], rank, need["reason"], need["sentence"]],
        )
    _write(path, SLICE_COLUMNS, rows)


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
