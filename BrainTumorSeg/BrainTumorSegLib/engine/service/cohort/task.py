"""One study of a batch, done by whatever process it is sent to: files in, its folder of results out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.engine.service.cohort.results import Record, new_folder, publish
from BrainTumorSegLib.engine.service.cohort.rows import SEGMENTATION_NAME, StudyRow, done_row
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.roles import Role

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.measurement.result import Result
    from BrainTumorSegLib.engine.service.run import SegmentJob

REPORT_NAME = "report.json"
PROBABILITY_NAME = "probability.nrrd"
THUMBNAIL_NAME = "thumbnail.jpg"


@dataclass(frozen=True)
class StudyTask:
    """What a process needs to do one study. folder: of all results; the study's own is in it, by its name."""

    name: str
    folder: Path
    batch: str
    inputs_key: str
    files: Mapping[Role, Path]
    settings: RunSettings = field(default_factory=RunSettings)
    with_probability: bool = False

    def request(self) -> dict[str, Any]:
        """The fields of a worker's request for it, plain data."""
        return {
            "command": "study",
            "study": self.name,
            "folder": str(self.folder),
            "batch": self.batch,
            "inputs_key": self.inputs_key,
            "with_probability": self.with_probability,
            **{role.value: str(path) for role, path in self.files.items()},
            **self.settings.request(),
        }

    @classmethod
    def of_request(cls, fields: Mapping[str, Any]) -> StudyTask:
        """From such fields, checked."""
        return cls(
            fields["study"],
            Path(fields["folder"]),
            fields["batch"],
            fields["inputs_key"],
            {role: Path(fields[role.value]) for role in Role if role.value in fields},
            RunSettings.chosen(fields),
            fields.get("with_probability", False),
        )


def do_study(task: StudyTask, segment: Callable[[SegmentJob], Result]) -> StudyRow:
    """Do one study and publish its folder: segmentation, report, thumbnail, what it came to. All or nothing.

    segment: does a job and writes its files, as ``run_job`` does. Raises BrainTumorSegError, Cancelled included.
    """
    from BrainTumorSegLib.engine.output.preview.thumbnail import render_thumbnail
    from BrainTumorSegLib.engine.output.report import build_report
    from BrainTumorSegLib.engine.output.writing import OutputPaths
    from BrainTumorSegLib.engine.service.run import SegmentJob
    from BrainTumorSegLib.engine.study.reading import StudyPaths

    started_s = time.perf_counter()
    with new_folder(task.folder) as temporary:
        outputs = OutputPaths(
            temporary / SEGMENTATION_NAME,
            temporary / PROBABILITY_NAME if task.with_probability else None,
            temporary / REPORT_NAME,
        )
        files = task.files
        inputs = StudyPaths(files[Role.FLAIR], files.get(Role.T1), files.get(Role.T1C))
        result = segment(SegmentJob(inputs, outputs, task.settings))
        render_thumbnail(result, temporary / THUMBNAIL_NAME)
        seconds = time.perf_counter() - started_s
        row = done_row(task.name, build_report(result), task.settings.register, seconds)
        return publish(temporary, task.folder / task.name, Record(task.batch, task.inputs_key, row))
