"""What one study came to, as a row of the summary: the same columns for every study, all of them texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from BrainTumorSegLib import __version__
from BrainTumorSegLib.engine.paths import shown
from BrainTumorSegLib.engine.service.cohort.study_files import StudyFiles
from BrainTumorSegLib.engine.settings import OF_RESULT, REGISTER, RunSettings
from BrainTumorSegLib.engine.study.roles import Role

DONE, FAILED = "done", "failed"
SEGMENTATION_NAME = "segmentation.seg.nrrd"


@dataclass(frozen=True)
class StudyRow:
    """One study. status: "done" or "failed". message: warnings, or why it failed; remedy: what to do about that.

    segmentation: relative to the folder of results. The settings of a study that is done are those used, none left to
    a default; of one that failed those that were asked for, "" where that was left to the model.
    """

    study: str
    status: str
    volume_ml: str = ""
    lesions: str = ""
    longest_diameter_mm: str = ""
    seconds: str = ""
    segmentation: str = ""
    message: str = ""
    remedy: str = ""
    flair: str = ""
    t1: str = ""
    t1c: str = ""
    model: str = ""
    model_version: str = ""
    model_sha256: str = ""
    classifier: str = ""
    classifier_version: str = ""
    classifier_sha256: str = ""
    threshold: str = ""
    gate: str = ""
    min_volume_ml: str = ""
    tta: str = ""
    register: str = ""
    device: str = ""
    precision: str = ""
    program: str = __version__

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> StudyRow:
        """From texts by name. Raises ValueError where a column is missing or is no text."""
        names = [each.name for each in fields(cls)]
        if not all(isinstance(values.get(name), str) for name in names):
            raise ValueError("not a row")
        return cls(**{name: values[name] for name in names})


COLUMNS = tuple(each.name for each in fields(StudyRow))


def done_row(name: str, report: Mapping[str, Any], register: Any, seconds: float) -> StudyRow:
    """The row of a study with this report (see ``build_report``), that took so many seconds in all."""
    lesions = report["lesions"]
    inputs = {key: "" if source is None else source["path"] for key, source in report["inputs"].items()}
    models = report["models"]
    return StudyRow(
        name,
        DONE,
        volume_ml=f"{report['volume_ml']:.3f}",
        lesions=str(len(lesions)),
        longest_diameter_mm=f"{max((each['longest_diameter_mm'] for each in lesions), default=0.0):.1f}",
        seconds=f"{seconds:.1f}",
        segmentation=f"{name}/{SEGMENTATION_NAME}",
        message=" ".join(report["warnings"]),
        **inputs,
        **_model("model", models["segmentation"]),
        **_model("classifier", models["classifier"]),
        **{choice.name: choice.tag_value(report["settings"][choice.name]) for choice in OF_RESULT},
        register=REGISTER.tag_value(register),
        device=report["device"],
        precision=report["precision"],
    )


def failed_row(study: StudyFiles, settings: RunSettings, message: str, remedy: str, seconds: float = 0.0) -> StudyRow:
    """The row of a study that could not be segmented."""
    asked = {choice.name: getattr(settings, choice.name) for choice in (*OF_RESULT, REGISTER)}
    return StudyRow(
        study.name,
        FAILED,
        seconds=f"{seconds:.1f}",
        message=message,
        remedy=remedy,
        **{role.value: " | ".join(shown(path.absolute()) for path in study.candidates.get(role, ())) for role in Role},
        model=settings.model or "",
        **{name: "" if value is None else _text(value) for name, value in asked.items()},
        device=settings.device,
    )


def _text(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _model(kind: str, model: Mapping[str, str] | None) -> dict[str, str]:
    parts = {"": "name", "_version": "version", "_sha256": "sha256"}
    return {f"{kind}{suffix}": model[key] if model else "" for suffix, key in parts.items()}
