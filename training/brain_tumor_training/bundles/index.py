"""The index of released bundles."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from brain_tumor_training.bundles.description import LICENCE, BundleDescription
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.models.bundle import Recommendation
from BrainTumorSegLib.engine.models.store import INDEX_FILE


def write_index(folder: Path, descriptions: list[BundleDescription]) -> Path:
    """Writes ``folder/index.json`` for bundles that lie there; the first of each task becomes the default."""
    (folder / INDEX_FILE).unlink(missing_ok=True)
    for description in descriptions:
        update_index(folder, description)
    return folder / INDEX_FILE


def update_index(folder: Path, description: BundleDescription) -> Path:
    """Lists a bundle that lies in ``folder``, in place of an earlier version; the first of a task is the default."""
    index = folder / INDEX_FILE
    models = json.loads(index.read_text())["models"] if index.exists() else []
    earlier = next((one for one in models if one["name"] == description.name), None)
    others = [one for one in models if one is not earlier]
    if earlier is None:
        default = not any(one["default"] and one["task"] == description.task for one in others)
    else:
        default = earlier["default"]
    entry = _index_entry(description, folder / f"{description.name}-{description.version}.zip", default)
    models = [entry if one is earlier else one for one in models] if earlier else [*models, entry]
    with atomic_path(index) as temporary:
        temporary.write_text(json.dumps({"schema": 1, "models": models}, indent=2) + "\n")
    return index


def _index_entry(description: BundleDescription, path: Path, default: bool) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": description.name,
        "version": description.version,
        "task": str(description.task),
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "licence": LICENCE,
        "title": description.title,
        "description": description.description,
        "classifier": description.classifier,
        "recommendation": _used_by_default(description.recommendation),
        "metrics": dict(description.metrics),
        "default": default,
    }


def _used_by_default(recommendation: Recommendation) -> dict[str, float]:
    """What of it is a setting: the temperature is none."""
    return {
        "threshold": recommendation.threshold,
        "gate": recommendation.gate,
        "min_volume_ml": recommendation.min_volume_ml,
    }
