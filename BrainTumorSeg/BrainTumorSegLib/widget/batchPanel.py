"""A folder of studies: what is in it, segmenting all of it, and each study with its result at a click."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.jobs.activity import Activity, State
from BrainTumorSegLib.jobs.batch import BatchJob, BatchPlan
from BrainTumorSegLib.widget.clicks import connectClicks, visibly
from BrainTumorSegLib.widget.labels import say
from BrainTumorSegLib.widget.roomForResult import bringIntoView
from BrainTumorSegLib.widget.tables import fillTable, prepareTable
from BrainTumorSegLib.widget.timeLeft import TimeLeft
from BrainTumorSegLib.widget.words import failureText, inPanel, runningText, timeText

_TITLES = {"flair": "FLAIR", "t1": "T1", "t1c": "T1c"}


class BatchPanel:
    """Finds the studies of a folder first, then segments them; one activity at a time.

    ui: the widgets of the .ui by name. plan: begins to look. start: begins to segment, with the panel's settings.
    missing: which packages of the child's are not installed yet, "" if none.
    """

    def __init__(
        self,
        ui: Any,
        plan: Callable[[Path, Path], BatchPlan],
        start: Callable[[Path, Path], BatchJob],
        missing: Callable[[], str],
    ) -> None:
        self._ui, self._plan, self._start, self._missing = ui, plan, start, missing
        self._inputs: Path | None = None
        self._outputs: Path | None = None
        self._studies: list[dict[str, Any]] = []
        self._rows: dict[str, dict[str, str]] = {}
        self._activity: Activity | None = None
        self._timeLeft = TimeLeft()
        self._toLoad: deque[Callable[[], Any]] = deque()
        self._loading = qt.QTimer()
        self._loading.setInterval(0)
        self._loading.connect("timeout()", visibly(self._loadNext))
        prepareTable(ui.batchTable, wideColumn=2)
        ui.batchTable.connect("cellDoubleClicked(int,int)", visibly(self.onOpen))
        # A section that opens shows all that is in it.
        ui.batchCollapsibleButton.connect("contentsCollapsed(bool)", visibly(lambda _isCollapsed: self._refresh()))
        say(ui.batchStatusLabel, "")
        connectClicks(
            ui,
            {
                "batchInputButton": self.onInputs,
                "batchOutputButton": self.onOutputs,
                "batchStartButton": self.onStart,
            },
        )
        self._refresh()

    def onInputs(self) -> None:
        """Choose the folder that holds the studies, and look what is in it."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder with the studies"))
        if folder and not self._isRunning:
            self._inputs = Path(folder)
            self._outputs = self._outputs or self._inputs.with_name(f"{self._inputs.name}-segmented")
            self._look()

    def onOutputs(self) -> None:
        """Choose where the results go."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder for the results"))
        if folder and not self._isRunning:
            self._outputs = Path(folder)
            self._refresh()

    def onStart(self) -> None:
        """Segment what was found; a second click cancels, and what is done stays."""
        if self._activity is not None and self._isRunning:
            self._activity.cancel()
            return
        if self._inputs is None or self._outputs is None:
            return
        try:
            self._timeLeft = TimeLeft()
            self._follow(self._start(self._inputs, self._outputs))
        except BrainTumorSegError as error:
            say(self._ui.batchStatusLabel, str(error))

    def onOpen(self, row: int, _column: int) -> None:
        """Load a study with its result into the scene, a file in each turn: together they take long."""
        if row >= len(self._studies) or self._outputs is None:
            return
        done = self._rows.get(self._studies[row]["name"])
        if done is None or done["status"] != "done":
            say(self._ui.batchStatusLabel, _("This study has no result yet."))
            return
        for sequence, title in _TITLES.items():
            if done[sequence]:
                # The outline is FLAIR's: over another sequence it can be drawn across the skull.
                properties = {"name": f"{done['study']} {title}", "show": sequence == "flair"}
                self._toLoad.append(partial(_loadVolume, Path(done[sequence]), properties))
        self._toLoad.append(partial(slicer.util.loadSegmentation, str(self._outputs / done["segmentation"])))
        self._loading.start()

    def _loadNext(self) -> None:
        load = self._toLoad.popleft()
        # Stopped while it loads: a reader that asks something lets the event loop go on.
        self._loading.stop()
        try:
            load()
        except Exception:
            self._toLoad.clear()  # of a study that is not whole nothing more is of use
            raise
        if self._toLoad:
            self._loading.start()

    @property
    def _isRunning(self) -> bool:
        return self._activity is not None and not self._activity.isFinished

    def _look(self) -> None:
        missing = self._missing()
        if missing or self._inputs is None or self._outputs is None:
            say(self._ui.batchStatusLabel, missing)
            return
        self._studies, self._rows = [], {}
        self._follow(self._plan(self._inputs, self._outputs))

    def _follow(self, activity: Activity) -> None:
        self._activity = activity
        activity.onChanged = lambda: self._onChanged(activity)
        self._onChanged(activity)

    def _onChanged(self, activity: Activity) -> None:
        if isinstance(activity, BatchPlan) and activity.state is State.DONE:
            self._studies = activity.studies
        if isinstance(activity, BatchJob):
            self._rows = {row["study"]: row for row in activity.rows}
        say(self._ui.batchStatusLabel, self._text(activity))
        self._refresh()
        if activity.isFinished:
            # The table has grown, and the line below it says what came of it.
            bringIntoView(self._ui.batchCollapsibleButton, self._ui.modelsCollapsibleButton)

    def _text(self, activity: Activity) -> str:
        if activity.failure is not None:
            return failureText(activity.failure)
        if isinstance(activity, BatchPlan):
            return self._foundText() if activity.isFinished else runningText(activity, None)
        done = _("{done} of {count} studies").format(done=len(self._rows), count=len(self._studies))
        if not activity.isFinished:
            left = timeText(self._timeLeft.update(activity.fraction, time.monotonic()))
            return ", ".join(text for text in (done, left) if text)
        failed = sum(row["status"] != "done" for row in self._rows.values())
        cancelled = _("Cancelled; what is done stays.") if activity.state is State.CANCELLED else ""
        ended = _("{done} done, {failed} failed.").format(done=len(self._rows) - failed, failed=failed)
        return " ".join(text for text in (cancelled, ended, _("Double-click a row to open it.")) if text)

    def _foundText(self) -> str:
        doubtful = sum(bool(study["problem"]) for study in self._studies)
        return _("{count} studies found, {doubtful} of them will be left out.").format(
            count=len(self._studies), doubtful=doubtful
        )

    def _refresh(self) -> None:
        ui = self._ui
        ui.batchInputButton.text = self._inputs.name if self._inputs else _("Choose a folder...")
        ui.batchOutputButton.text = self._outputs.name if self._outputs else _("Choose a folder...")
        ui.batchInputButton.enabled = ui.batchOutputButton.enabled = not self._isRunning
        isBatch = isinstance(self._activity, BatchJob) and self._isRunning
        ui.batchStartButton.text = _("Cancel") if isBatch else _("Segment all studies")
        ui.batchStartButton.enabled = isBatch or (bool(self._studies) and not self._isRunning)
        ui.batchProgressBar.visible = isBatch
        if self._activity is not None:
            ui.batchProgressBar.value = round(100 * self._activity.fraction)
        ui.batchTable.visible = bool(self._studies)
        fillTable(ui.batchTable, [self._rowOf(study) for study in self._studies])

    def _rowOf(self, study: dict[str, Any]) -> tuple[str, str, str]:
        """Name, sequences and what came of it, or why nothing will."""
        names = [
            _TITLES[role] if len(paths) == 1 else _("{title} ({count}?)").format(title=_TITLES[role], count=len(paths))
            for role, paths in study["files"].items()
            if paths
        ]
        row = self._rows.get(study["name"])
        if row is None:
            state = inPanel(study["problem"]) if study["problem"] else _("to do")
        elif row["status"] == "done":
            state = _("{volume:.2f} mL, lesions: {lesions}").format(
                volume=float(row["volume_ml"]), lesions=row["lesions"]
            )
        else:
            state = row["message"]
        return study["name"], ", ".join(names), state


def _loadVolume(path: Path, properties: dict[str, Any]) -> None:
    slicer.util.loadVolume(str(_firstFile(path)), properties)


def _firstFile(path: Path) -> Path:
    """A file, or the first of a folder with one DICOM series: Slicer's reader takes the others along."""
    return next(each for each in sorted(path.rglob("*")) if each.is_file()) if path.is_dir() else path
