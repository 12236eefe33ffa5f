"""Data sets and recipes so small that a real training run takes seconds."""

from __future__ import annotations

from pathlib import Path

import yaml

from kaggle_phantom import write_data_set

SETTINGS = "brain_tumor_training.recipes.settings."


def write_recipe(folder: Path, **changes: object) -> Path:
    """Two steps of a small real network at 128 px, half of the patients kept aside."""
    settings = {
        "_target_": f"{SETTINGS}TrainingSettings",
        "task": "segmentation",
        "network": "ResUNet",
        "arguments": {"input_channels": 3},
        "channels": ["t1", "flair", "t1c"],
        "batch_size": 2,
        "phases": [{"_target_": f"{SETTINGS}Phase", "size_px": 128, "steps": 2}],
        "validation": {"_target_": f"{SETTINGS}ValidationSettings", "share": 0.5, "every_steps": 2},
    }
    path = folder / f"{(settings | changes)['network']}.yaml"
    path.write_text(yaml.safe_dump({"settings": settings | changes}))
    return path


def write_folded_data(folder: Path, patients: int) -> Path:
    """Patients in Kaggle's layout, and folds.csv, which puts every other one into fold 1."""
    names = write_data_set(folder, patients=patients, slices=4, size_px=256)
    lines = [f"{name},{number % 2}" for number, name in enumerate(names)]
    (folder / "folds.csv").write_text("\n".join(["patient,fold", *lines]) + "\n")
    return folder
