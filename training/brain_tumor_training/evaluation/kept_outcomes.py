"""Outcomes of single patients on disk, so that a long evaluation can go on where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor_training.evaluation.outcome import PatientOutcome
from brain_tumor_training.metrics.overlap import SliceCounts
from brain_tumor_training.metrics.reliability import Reliability
from brain_tumor_training.metrics.surface import SurfaceDistances
from BrainTumorSegLib.engine.files import atomic_path


class OutcomeFolder:
    """One file per patient. made_by: what the outcomes depend on; files made by anything else count as missing."""

    def __init__(self, folder: Path, made_by: Mapping[str, Any]) -> None:
        self._folder = folder
        self._made_by = json.loads(json.dumps(made_by))

    def load(self, name: str) -> PatientOutcome | None:
        """The patient's outcome, if it is there."""
        path = self._path(name)
        if not path.is_file():
            return None
        content = json.loads(path.read_text())
        return _outcome(content["outcome"]) if content["made_by"] == self._made_by else None

    def save(self, outcome: PatientOutcome) -> None:
        """Keeps a patient's outcome."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(outcome.name)) as temporary:
            # Infinite distances, of an empty mask, are kept as Python's JSON spells them.
            temporary.write_text(json.dumps({"made_by": self._made_by, "outcome": _plain(outcome)}))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _plain(outcome: PatientOutcome) -> dict[str, Any]:
    return {name: _listed(value) for name, value in asdict(outcome).items()}


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _outcome(content: dict[str, Any]) -> PatientOutcome:
    scores, surface, voxels = content["classifier_scores"], content["surface"], content["voxels"]
    return PatientOutcome(
        **{
            **content,
            "counts": SliceCounts(**{name: np.array(part, np.int64) for name, part in content["counts"].items()}),
            "classifier_scores": None if scores is None else np.array(scores, np.float64),
            "maximum_probability": np.array(content["maximum_probability"], np.float64),
            "surface": None if surface is None else SurfaceDistances(**surface),
            "sequences": tuple(content["sequences"]),
            "voxels": None if voxels is None else Reliability(**{n: np.array(part) for n, part in voxels.items()}),
        }
    )
