"""Measured models with their accuracy and their time, from a CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from BrainTumorSegLib.engine.errors import InputError

COLUMNS = ("model", "volumetric_dice_mean", "low", "high", "seconds", "group")


def read_costs(path: Path) -> list[dict[str, Any]]:
    """Rows {name, accuracy, low, high, cost, group}; low and high None where empty. Raises InputError for others."""
    if not path.is_file():
        raise InputError(f"{path} does not exist.", "Write a line per measured model.")
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path} has no column {', '.join(missing)}.", f"It needs {', '.join(COLUMNS)}.")
        rows = [_row(path, row) for row in reader]
    if not rows:
        raise InputError(f"{path} lists no model.", "Write a line per measured model.")
    return rows


def _row(path: Path, row: dict[str, str]) -> dict[str, Any]:
    try:
        low, high = (float(row[name]) if row[name] else None for name in ("low", "high"))
        return {
            "name": row["model"],
            "accuracy": float(row["volumetric_dice_mean"]),
            "low": low,
            "high": high,
            "cost": float(row["seconds"]),
            "group": row["group"],
        }
    except ValueError as error:
        raise InputError(f"{path} has a value that is no number: {error}.", "Correct the table.") from error
