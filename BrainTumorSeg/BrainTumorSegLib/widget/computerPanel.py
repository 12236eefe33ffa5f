"""This computer: packages, the check of what it can run, and the text for a report of a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from BrainTumorSegLib.application.dependencies import installPackages, missingPackages, offlineArguments
from BrainTumorSegLib.client.process import Event
from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.jobs.activity import ChildWork, State, failureOfEvent
from BrainTumorSegLib.widget.clicks import connectClicks
from BrainTumorSegLib.widget.labels import say
from BrainTumorSegLib.widget.words import failureText, inPanel, runningText


class ComputerPanel:
    """Installs packages when asked and shows the engine's findings.

    ui: the widgets of the .ui by name. requirementsPath: the extension's requirements.txt. install: begins pip with
    these arguments in a child. examine: asks the engine for its findings. diagnostics: makes the text to copy.
    """

    def __init__(
        self,
        ui: Any,
        requirementsPath: str,
        install: Callable[[list[str]], ChildWork],
        examine: Callable[[Callable[[Event], None]], None],
        diagnostics: Callable[[Sequence[Mapping[str, Any]]], str],
    ) -> None:
        self._ui, self._requirementsPath = ui, requirementsPath
        self._install, self._examine, self._diagnostics = install, examine, diagnostics
        self._work: ChildWork | None = None
        self.findings: list[Mapping[str, Any]] = []
        say(ui.computerStatusLabel, "")
        connectClicks(
            ui,
            {
                "installButton": self.onInstall,
                "installOfflineButton": self.onInstallOffline,
                "checkButton": self.onCheck,
                "copyDiagnosticsButton": self.onCopyDiagnostics,
            },
        )

    def ensurePackages(self) -> str:
        """Bring what is missing after asking. Returns "" when all is there, else why not and what to do."""
        if slicer.app.testingEnabled() or not missingPackages(self._requirementsPath):
            return ""
        try:
            installPackages(self._requirementsPath)
        except BrainTumorSegError as error:
            return str(error)
        missing = missingPackages(self._requirementsPath)
        if missing:
            return _("Python packages are missing: {names}.").format(names=", ".join(missing))
        return ""

    def onInstall(self) -> None:
        """Install from the internet."""
        say(self._ui.computerStatusLabel, self.ensurePackages() or _("All packages are installed."))

    def onInstallOffline(self) -> None:
        """Install from a folder of wheels."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder with the wheel files"))
        if folder and (self._work is None or self._work.isFinished):
            self._work = self._install(offlineArguments(self._requirementsPath, Path(folder)))
            self._work.onChanged = self._onInstallChanged
            self._onInstallChanged()

    def missingText(self) -> str:
        """Which packages the children lack and what to do, "" when all are there; asks nothing, installs nothing."""
        missing = () if slicer.app.testingEnabled() else missingPackages(self._requirementsPath)
        if not missing:
            return ""
        names = _("Python packages are missing: {names}.").format(names=", ".join(missing))
        return f"{names} {_('Install them with the buttons under This computer.')}"

    def onCheck(self) -> None:
        """Ask the engine what this computer can run."""
        missing = self.missingText()
        if missing:
            say(self._ui.computerStatusLabel, missing)
            return
        self._ui.checkButton.enabled = False
        say(self._ui.computerStatusLabel, _("Checking this computer (some seconds)..."))
        try:
            self._examine(self._onExamined)
        except BrainTumorSegError as error:
            self._ui.checkButton.enabled = True
            say(self._ui.computerStatusLabel, str(error))

    def onCopyDiagnostics(self) -> None:
        """Put the text for a report into the clipboard."""
        slicer.app.clipboard().setText(self._diagnostics(self.findings))
        say(self._ui.computerStatusLabel, _("Copied. It holds no names, identifiers or paths of patients."))

    def _onExamined(self, event: Event) -> None:
        self._ui.checkButton.enabled = True
        if event.name == "error":
            say(self._ui.computerStatusLabel, failureText(failureOfEvent(event)))
            return
        self.findings = event.content["findings"]
        mostSeriousFirst = sorted(self.findings, key=lambda each: list(_MARKS).index(each["status"]))
        say(self._ui.computerStatusLabel, "\n".join(_findingText(each) for each in mostSeriousFirst))

    def _onInstallChanged(self) -> None:
        work = self._work
        assert work is not None, "set before it is listened to"
        self._ui.installOfflineButton.enabled = work.isFinished
        if work.failure is not None:
            say(self._ui.computerStatusLabel, failureText(work.failure))
        else:
            say(self._ui.computerStatusLabel, work.message if work.state is State.DONE else runningText(work, None))


_MARKS = {"problem": "✗", "warning": "!", "ok": "✓"}


def _findingText(finding: Mapping[str, Any]) -> str:
    remedy = inPanel(finding["remedy"])
    if not remedy and finding["remedy"] and finding["name"].startswith("weights"):
        remedy = _("'Segment tumour' asks to download it; 'Import file...' under 'Models' takes a file.")
    return f"{_MARKS[finding['status']]} {inPanel(finding['message'])} {remedy}".rstrip()
