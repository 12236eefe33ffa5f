"""The models of this version: which are here, their licence and size; download, import, verify and remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from BrainTumorSegLib.application.questions import isAgreed
from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.models.index import ModelEntry, ModelIndex
from BrainTumorSegLib.jobs.activity import ChildWork, State
from BrainTumorSegLib.scene.liveThreshold import Limits
from BrainTumorSegLib.widget.clicks import connectClicks, visibly
from BrainTumorSegLib.widget.labels import say, write
from BrainTumorSegLib.widget.tables import fillTable, prepareTable
from BrainTumorSegLib.widget.words import failureText, runningText, sizeText

StartWork = Callable[..., ChildWork]
"""start(action, *operands) begins one action in a child process; the caller polls it."""

MIRROR_SETTING = "BrainTumorSeg/Mirror"


class ModelsPanel:
    """Lists the index; asks the child process for what is on this computer, never before the section is opened.

    ui: the widgets of the .ui by name. entries: the index. start: begins an action. missing: says which packages of
    the child's are not installed yet, "" if none. states: last known, by name.
    """

    def __init__(self, ui: Any, entries: Sequence[ModelEntry], start: StartWork, missing: Callable[[], str]) -> None:
        self._ui, self._entries, self._start, self._missing = ui, entries, start, missing
        self._work: ChildWork | None = None
        self.states: dict[str, str] = {}
        prepareTable(ui.modelsTable, wideColumn=0)
        say(ui.modelsStatusLabel, "")
        self._fillTable()
        ui.mirrorLineEdit.text = slicer.util.settingsValue(MIRROR_SETTING, "")
        ui.modelsTable.connect("itemSelectionChanged()", self._updateButtons)
        ui.modelsCollapsibleButton.connect("contentsCollapsed(bool)", visibly(self.onCollapsed))
        ui.mirrorLineEdit.connect("editingFinished()", visibly(self.onMirror))
        slots = {"download": self.onDownload, "import": self.onImport, "verify": self.onVerify, "remove": self.onRemove}
        connectClicks(ui, {f"{action}ModelButton": slot for action, slot in slots.items()})
        connectClicks(ui, {"removeAllModelsButton": self.onRemoveAll})
        self._updateButtons()

    def onCollapsed(self, isCollapsed: bool) -> None:
        """Look at the disk when the section is opened."""
        self._fillTable()
        if not isCollapsed and not self.states:
            self._ui.modelsTable.selectRow(0)  # so that the buttons below it have something to act on
            self._begin("list")

    def onDownload(self) -> None:
        """Download the selected model after one question; a second click cancels."""
        if self._work is not None and not self._work.isFinished:
            self._work.cancel()
            return
        entry = self._selected
        if entry is not None and confirmDownload(self.withClassifier(entry.name), self._ui.mirrorLineEdit.text):
            self._begin("download", entry.name)

    def onImport(self) -> None:
        """Install a model file from this computer."""
        path = qt.QFileDialog.getOpenFileName(None, _("Model file"), "", _("Model bundle (*.zip)"))
        if path:
            self._begin("import", path)

    def onVerify(self) -> None:
        """Compare the selected model with its published SHA-256."""
        if self._selected is not None:
            self._begin("verify", self._selected.name)

    def onRemove(self) -> None:
        """Delete the selected model after a question."""
        entry = self._selected
        if entry is not None and isAgreed(
            _("Delete the model {name} from this computer?").format(name=entry.title), _("Delete a model")
        ):
            self._begin("remove", entry.name)

    def onRemoveAll(self) -> None:
        """Delete all downloaded models after a question."""
        if isAgreed(_("Delete every downloaded model from this computer?"), _("Delete all models")):
            self._begin("removeAll")

    def onMirror(self) -> None:
        """Keep the mirror for this and later sessions."""
        qt.QSettings().setValue(MIRROR_SETTING, self._ui.mirrorLineEdit.text.strip())

    def withClassifier(self, name: str) -> tuple[ModelEntry, ...]:
        """The model of that name, "" for the recommended one, and the slice classifier that comes with it.

        Nothing for a name that is not in the index: the engine refuses it, and says which there are.
        """
        try:
            return ModelIndex(tuple(self._entries)).needed(name or None)
        except ModelError:
            return ()

    def recommendation(self, name: str) -> Limits | None:
        """What the model of that name, "" for the recommended one, uses by itself; None for one that is not here."""
        model = next(iter(self.withClassifier(name)), None)
        if model is None:
            return None
        return Limits(model.recommendation["threshold"], model.recommendation["min_volume_ml"])

    def onWorkChanged(self, work: ChildWork) -> None:
        """Show how an action goes and, at its end, what is on the disk now."""
        self._ui.modelsProgressBar.visible = not work.isFinished and work.action == "download"
        self._ui.modelsProgressBar.value = round(100 * work.fraction)
        say(self._ui.modelsStatusLabel, _workText(work))
        if work.state is State.DONE:
            self.states = work.states
            self._fillTable()
        self._updateButtons()

    @property
    def _isBusy(self) -> bool:
        return self._work is not None and not self._work.isFinished

    @property
    def _selected(self) -> ModelEntry | None:
        row = self._ui.modelsTable.currentRow()
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def _isIncomplete(self, entry: ModelEntry | None) -> bool:
        """Whether a download of this model, with its classifier, would bring anything, as far as is known."""
        needed = self.withClassifier(entry.name) if entry is not None else ()
        return any(self.states.get(each.name) != "installed" for each in needed)

    def _begin(self, action: str, *operands: str) -> None:
        missing = self._missing()
        if missing:
            say(self._ui.modelsStatusLabel, missing)
        elif not self._isBusy:
            self._work = self._start(action, *operands)
            self._work.onChanged = lambda work=self._work: self.onWorkChanged(work)  # type: ignore[misc]
            self.onWorkChanged(self._work)

    def _fillTable(self) -> None:
        rows = [
            (_title(entry), _stateText(self.states.get(entry.name)), sizeText(entry.size_bytes))
            for entry in self._entries
        ]
        fillTable(self._ui.modelsTable, rows, numberColumns=(2,))
        if not self._ui.modelsCollapsibleButton.collapsed:
            self._ui.modelsTable.resizeRowsToContents()  # only a shown table knows how wide its columns are

    def _updateButtons(self) -> None:
        entry = self._selected
        state = self.states.get(entry.name) if entry is not None else None
        isDownloading = self._isBusy and self._work is not None and self._work.action == "download"
        self._ui.downloadModelButton.text = _("Cancel") if isDownloading else _("Download")
        self._ui.downloadModelButton.enabled = isDownloading or (not self._isBusy and self._isIncomplete(entry))
        self._ui.importModelButton.enabled = self._ui.removeAllModelsButton.enabled = not self._isBusy
        isHere = state in ("installed", "damaged") and not self._isBusy
        self._ui.verifyModelButton.enabled = self._ui.removeModelButton.enabled = isHere
        about = f"{_title(entry)}, {entry.version}, {entry.licence}. {entry.description}" if entry is not None else ""
        write(self._ui.modelDescriptionLabel, about)


def confirmDownload(entries: Sequence[ModelEntry], mirror: str, isDamaged: bool = False) -> bool:
    """Ask once, with size, source and licence. True where there is nothing to download.

    isDamaged: there is a file, but its SHA-256 is not the published one.
    """
    if not entries:
        return True
    reason = (
        _("The model on this computer is damaged: its SHA-256 is not the published one. It is not used.")
        if isDamaged
        else _("The segmentation needs a model that is not on this computer yet.")
    )
    text = _(
        "{reason}\n\nModel: {names}\nSize: {size}\nSource: {source}\nLicence: {licence}\n\n"
        "The licence allows non-commercial use only. Download it now?"
    ).format(
        reason=reason,
        names=", ".join(entry.title for entry in entries),
        size=sizeText(sum(entry.size_bytes for entry in entries)),
        source=mirror or _("the release page of BrainTumorSeg on GitHub"),
        licence=", ".join(sorted({entry.licence for entry in entries})),
    )
    return isAgreed(text, _("Download a model"))


def _title(entry: ModelEntry) -> str:
    return _("{title} (recommended)").format(title=entry.title) if _isRecommended(entry) else entry.title


def _isRecommended(entry: ModelEntry) -> bool:
    return entry.default and entry.task == "segmentation"


def _stateText(state: str | None) -> str:
    texts = {"installed": _("installed"), "not installed": _("available"), "damaged": _("damaged")}
    return texts.get(state or "", "?")


def _workText(work: ChildWork) -> str:
    if work.failure is not None:
        return failureText(work.failure)
    if work.state is State.CANCELLED:
        return _("Cancelled. The next download goes on from here.")
    return work.message if work.isFinished else runningText(work, None)
