"""The worker's requests that take time: segment and doctor. torch is imported by the first segmentation, not before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.service.server import Request, Send, ThrottledProgress, Work
from BrainTumorSegLib.engine.settings import CHOICES

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.models.store import ModelStore
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmenterCache, SegmentJob

# Every field of a segment request, with the types it may have; all but flair and output may be missing or null.
_FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("flair", "t1", "t1c", "output", "probability", "report", "preview", "dicom_seg"), (str,)),
    **{choice.name: choice.json_types for choice in CHOICES},
}


class WorkerCommands:
    """The worker's commands; keeps the network loaded between them. open_store: opens the store of models, for each."""

    def __init__(self, open_store: Callable[[], ModelStore] | None = None) -> None:
        self._open_store = open_store or _default_store
        self._segmenters: SegmenterCache | None = None

    def table(self) -> dict[str, Work]:
        """What does each command that takes time."""
        return {"segment": self._segment, "doctor": self._doctor}

    def _segment(self, request: Request, send: Send, is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.output.writing import build_report
        from BrainTumorSegLib.engine.service.run import SegmenterCache, run_job

        job = parse_job(request)
        self._segmenters = self._segmenters or SegmenterCache(self._open_store)
        result = run_job(job, self._segmenters, ThrottledProgress(send), is_cancelled)
        send("done", report=build_report(result), files=_files(job.outputs))

    def _doctor(self, _request: Request, send: Send, _is_cancelled: Callable[[], bool]) -> None:
        from BrainTumorSegLib.engine.service.doctor import examine

        findings = examine(self._open_store)
        send(
            "done",
            findings=[
                {"name": each.name, "status": each.status.value, "message": each.message, "remedy": each.remedy}
                for each in findings
            ],
        )


def parse_job(request: Request) -> SegmentJob:
    """The job that a segment request asks for. Raises InputError naming the first field that is wrong."""
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmentJob
    from BrainTumorSegLib.engine.settings import RunSettings
    from BrainTumorSegLib.engine.study.reading import StudyPaths

    given = _checked_fields(request)
    return SegmentJob(
        inputs=StudyPaths(Path(given["flair"]), _path(given.get("t1")), _path(given.get("t1c"))),
        outputs=OutputPaths.chosen(Path(given["output"]), given),
        settings=RunSettings.chosen(given),
    )


def _checked_fields(request: Request) -> dict[str, Any]:
    """The request's fields that are not null. Raises InputError for an unknown, missing or mistyped one."""
    given = {key: value for key, value in request.items() if key not in {"id", "command"} and value is not None}
    for key, value in given.items():
        if key not in _FIELDS:
            raise InputError(f"A segment request has no field {key!r}.", f"Use {', '.join(_FIELDS)}.")
        if type(value) not in _FIELDS[key]:
            raise InputError(
                f"The field {key!r} is {value!r}, which is no {_FIELDS[key][0].__name__}.", "Correct the request."
            )
    for key in ("flair", "output"):
        if key not in given:
            raise InputError(f"The segment request lacks the field {key!r}.", "Name the file.")
    return given


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _files(outputs: OutputPaths) -> dict[str, str | None]:
    return {each.name: None if (path := getattr(outputs, each.name)) is None else str(path) for each in fields(outputs)}


def _default_store() -> ModelStore:
    from BrainTumorSegLib.engine.models.store import ModelStore

    return ModelStore.default()
