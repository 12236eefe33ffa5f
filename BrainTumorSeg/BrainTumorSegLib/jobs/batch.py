"""A folder of studies, one after another through the warm engine, with one row a study even where it fails."""

from __future__ import annotations

import logging
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from BrainTumorSegLib.client.process import Event
from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.engine.errors import OutputError
from BrainTumorSegLib.engine.files import output_errors
from BrainTumorSegLib.engine.study.cohort import SUMMARY_NAME, StudyFiles, StudyRow, find_studies, read_rows, write_rows
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.jobs.activity import Activity, State, failureOf
from BrainTumorSegLib.jobs.settings import JobSettings

logger = logging.getLogger(__name__)


class FolderJob(Activity):
    """Segments every study of a folder; ``rows`` grows with each. Cancel ends after telling the engine to stop.

    Results are ``outputFolder/STUDY/segmentation.seg.nrrd`` and ``report.json``. With ``resume``, a study whose row
    says done and whose segmentation is still there is left as it is.
    """

    def __init__(
        self, session: EngineSession, inputFolder: Path, outputFolder: Path, settings: JobSettings, resume: bool
    ) -> None:
        super().__init__()
        self._session, self._outputFolder, self._settings = session, outputFolder, settings
        with output_errors(outputFolder):
            outputFolder.mkdir(parents=True, exist_ok=True)
        self._studies = list(find_studies(inputFolder))
        self._done = {row.study: row for row in read_rows(outputFolder / SUMMARY_NAME)} if resume else {}
        self.rows: list[StudyRow] = []
        self._request = ""
        self._isWaiting = False
        self._startedAt_s = 0.0

    def poll(self) -> None:
        """Begin the next study when the engine is free."""
        if self._isWaiting or self.isFinished:
            return
        if self.state is State.CANCELLING:
            self._become(State.CANCELLED)
        elif len(self.rows) == len(self._studies):
            self._become(State.DONE)
        else:
            self._begin(self._studies[len(self.rows)])

    def abandon(self) -> None:
        """End now, with the engine's process; the rows so far stay."""
        self._session.stop()
        self._become(State.CANCELLED)

    def _stop(self) -> None:
        self._session.cancel(self._request)

    def _begin(self, study: StudyFiles) -> None:
        earlier = self._done.get(study.name)
        if earlier is not None and earlier.status == "done" and (self._outputFolder / earlier.segmentation).is_file():
            self._add(earlier)
            return
        self._startedAt_s = time.monotonic()
        if study.problem:
            self._add(self._row(study, "failed", message=study.problem))
            return
        try:
            folder = self._outputFolder / study.name
            with output_errors(folder):
                folder.mkdir(exist_ok=True)
            self._request = self._session.submit(self._segmentRequest(study, folder), lambda e: self._onEvent(study, e))
            self._isWaiting = True
        except OutputError as error:
            self._add(self._row(study, "failed", message=str(error)))

    def _segmentRequest(self, study: StudyFiles, folder: Path) -> dict[str, Any]:
        inputs = {role.value: str(study.files[role]) if role in study.files else None for role in Role}
        outputs = {"output": str(folder / "segmentation.seg.nrrd"), "report": str(folder / "report.json")}
        probability = str(folder / "probability.nrrd") if self._settings.keepProbability else None
        return {"command": "segment", **inputs, **outputs, "probability": probability, **self._settings.request()}

    def _onEvent(self, study: StudyFiles, event: Event) -> None:
        if event.name == "progress":
            self._progress(event.content["stage"], (len(self.rows) + event.content["fraction"]) / len(self._studies))
            return
        self._isWaiting = False
        content = event.content
        if event.name == "done":
            self._add(self._doneRow(study, content["report"]))
        elif content["kind"] != "cancelled":
            self._add(self._row(study, "failed", message=f"{content['message']} {content['action']}".strip()))

    def _doneRow(self, study: StudyFiles, report: dict[str, Any]) -> StudyRow:
        lesions = report["lesions"]
        return self._row(
            study,
            "done",
            volume_ml=f"{sum(each['volume_ml'] for each in lesions):.3f}",
            lesions=str(len(lesions)),
            longest_diameter_mm=f"{max((each['longest_diameter_mm'] for each in lesions), default=0.0):.1f}",
            segmentation=f"{study.name}/segmentation.seg.nrrd",
            message=" ".join(report["warnings"]),
        )

    def _row(self, study: StudyFiles, status: str, **known: str) -> StudyRow:
        seconds = f"{time.monotonic() - self._startedAt_s:.1f}"
        empty = dict.fromkeys((field.name for field in fields(StudyRow)), "")
        return StudyRow(**{**empty, "study": study.name, "status": status, "seconds": seconds, **known})

    def _add(self, row: StudyRow) -> None:
        """Keep a row, in the file too, so that nothing is lost whenever the computer stops."""
        self.rows.append(row)
        try:
            write_rows(self._outputFolder / SUMMARY_NAME, self.rows)
        except OutputError as error:
            self._fail(failureOf(error))
            return
        logger.info("Study %d of %d: %s", len(self.rows), len(self._studies), row.status)
        self._progress("segment", len(self.rows) / len(self._studies))
