"""Folds by patient: reading them, splitting by them, refusing models of other folds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from BrainTumorSegLib.engine.errors import InputError


def read_folds(path: Path) -> dict[str, int]:
    """Patient -> fold, from a CSV with the columns patient and fold. Raises InputError for a patient listed twice."""
    folds: dict[str, int] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["patient"] in folds:
                raise InputError(f"{path} lists the patient {row['patient']} twice.", "List every patient once.")
            folds[row["patient"]] = int(row["fold"])
    return folds


def split_patients(names: Iterable[str], folds: dict[str, int], held_out: int) -> tuple[list[str], list[str]]:
    """Patients for training and those held out. Raises InputError if a name has no fold or a side is empty."""
    names = list(names)
    unknown = [name for name in names if name not in folds]
    if unknown:
        raise InputError(f"{len(unknown)} patients have no fold, such as {unknown[0]}.", "Add them to the folds file.")
    train = [name for name in names if folds[name] != held_out]
    test = [name for name in names if folds[name] == held_out]
    if not train or not test:
        raise InputError(f"Fold {held_out} leaves one side empty.", f"Choose one of {sorted(set(folds.values()))}.")
    return train, test


def refuse_mixed_folds(folds: Mapping[str, int]) -> None:
    """Raises InputError where two examinations of one person are in different folds.

    The person is the name without its last part if that is a date of eight digits, as TCGA names have it.
    """
    of_person: dict[str, tuple[str, int]] = {}
    for name, fold in folds.items():
        head, _, last = name.rpartition("_")
        person = head if head and len(last) == 8 and last.isdigit() else name
        earlier = of_person.setdefault(person, (name, fold))
        if earlier[1] != fold:
            raise InputError(
                f"{earlier[0]} (fold {earlier[1]}) and {name} (fold {fold}) are the same person.",
                "Put all examinations of a person into one fold.",
            )
