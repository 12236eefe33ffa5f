"""What happens after a click on "Segment tumour", and how the panels follow the scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from BrainTumorSegLib.application.diagnostics import diagnosticsText
from BrainTumorSegLib.application.loadingAhead import LoadingAhead
from BrainTumorSegLib.application.questions import isAgreed
from BrainTumorSegLib.engine.errors import BrainTumorSegError, InputError
from BrainTumorSegLib.engine.memory import needed_bytes
from BrainTumorSegLib.engine.models.index import ModelEntry
from BrainTumorSegLib.engine.settings import MIN_VOLUME, THRESHOLD
from BrainTumorSegLib.engine.study.roles import Role
from BrainTumorSegLib.jobs.activity import Activity, ChildWork, State
from BrainTumorSegLib.jobs.batch import BatchJob
from BrainTumorSegLib.jobs.explanationJob import ExplanationJob
from BrainTumorSegLib.jobs.handOverJob import Document, HandOverJob
from BrainTumorSegLib.jobs.refinementJob import RefinementJob
from BrainTumorSegLib.jobs.segmentationJob import SegmentationJob
from BrainTumorSegLib.jobs.settings import JobSettings
from BrainTumorSegLib.scene.inputGuess import databaseTagReader, guessInputs
from BrainTumorSegLib.scene.liveThreshold import Limits, limitsOf
from BrainTumorSegLib.scene.resultImport import EditedPolicy, hasEditedTumour
from BrainTumorSegLib.scene.studyExport import checkVolume
from BrainTumorSegLib.scene.views import showResult
from BrainTumorSegLib.widget.batchPanel import BatchPanel
from BrainTumorSegLib.widget.clicks import connectClicks, visibly
from BrainTumorSegLib.widget.comparisonPanel import ComparisonPanel
from BrainTumorSegLib.widget.computerPanel import ComputerPanel
from BrainTumorSegLib.widget.handOverPanel import HandOverPanel
from BrainTumorSegLib.widget.modelChoice import ModelChoice
from BrainTumorSegLib.widget.modelsPanel import ModelsPanel, confirmDownload
from BrainTumorSegLib.widget.parameters import BrainTumorSegParameterNode, jobSettings, setLimits
from BrainTumorSegLib.widget.resultPanel import ResultPanel
from BrainTumorSegLib.widget.roomForResult import FoldedChoices, bringIntoView
from BrainTumorSegLib.widget.segmentPanel import SegmentPanel
from BrainTumorSegLib.widget.shortcuts import Key, Shortcuts
from BrainTumorSegLib.widget.words import failureText, inPanel, remedyText


class Controller:
    """Joins the panels, the parameter node and the logic. One activity at a time.

    ui: the widgets of the .ui by name. logic: a BrainTumorSegLogic. entries: the index of models.
    """

    def __init__(self, ui: Any, logic: Any, entries: Sequence[ModelEntry], requirementsPath: str) -> None:
        self._ui, self._logic = ui, logic
        self.parameters: BrainTumorSegParameterNode | None = None
        self.activity: Activity | None = None
        self._areModelsKnown = False
        self._shownStudy: tuple[str, ...] = ()
        self._modelNote = ""
        self._segmentPanel = SegmentPanel(ui)
        self._choices = FoldedChoices((ui.inputsCollapsibleButton, ui.outputsCollapsibleButton))
        self._measuring = LoadingAhead()
        self._resultPanel = ResultPanel(ui, logic.undo, self._onUndone, self._explain)
        self._handOverPanel = HandOverPanel(ui, self._startHandOver)
        self._comparisonPanel = ComparisonPanel(ui, self._startComparison)
        self._modelChoice = ModelChoice(ui.modelComboBox, entries, self._onModelChosen, self._onModelUnknown)
        self._computerPanel = ComputerPanel(
            ui, requirementsPath, logic.startInstallation, logic.examine, self._diagnostics
        )
        self._modelsPanel = ModelsPanel(ui, entries, self._startModelWork, self._computerPanel.missingText)
        self._batchPanel = BatchPanel(ui, logic.planFolder, self._startBatch, self._computerPanel.missingText)
        connectClicks(
            ui, {"segmentButton": self.onSegment, "guessButton": self.guessInputs, "refineButton": self.onRefine}
        )
        navigator = self._resultPanel.navigator
        self.shortcuts = Shortcuts(
            {
                Key.NEXT: navigator.goToNext,
                Key.PREVIOUS: navigator.goToPrevious,
                Key.REVIEWED: navigator.toggleReviewed,
                Key.OUTLINE: self._resultPanel.toggleOutline,
                Key.LOWER: lambda: self._stepThreshold(-1),
                Key.HIGHER: lambda: self._stepThreshold(1),
            }
        )

    @property
    def isRunning(self) -> bool:
        """Whether something is going on that Cancel would stop."""
        return self.activity is not None and not self.activity.isFinished

    def show(self, parameters: BrainTumorSegParameterNode | None) -> None:
        """Follow another parameter node; None while the scene is closed."""
        self.parameters = parameters
        if parameters is None:
            self._modelNote = ""
            self._forgetStudy(())
        self.update()

    def update(self) -> None:
        """Bring every panel up to date with the parameter node and the running activity."""
        parameters = self.parameters
        if parameters is None:
            self._resultPanel.show(None, None)
            self._handOverPanel.show(None)
            self._comparisonPanel.show(None)
            return
        self._forgetStudy(_studyOf(parameters))
        self._modelChoice.show(parameters.model)
        self._ui.thresholdSlider.enabled = not parameters.recommended
        self._ui.minimumVolumeSpinBox.enabled = not parameters.recommended
        self._showRecommendation(parameters)
        if parameters.segmentation is not None:
            self._measuring.begin()
        limits = None if self.isRunning else _limitsOf(parameters)
        self._resultPanel.show(parameters.segmentation, parameters.flair, limits)
        self._handOverPanel.show(parameters.segmentation)
        self._comparisonPanel.show(parameters.segmentation)
        if self.isRunning and self.activity is not None:
            self._segmentPanel.showActivity(self.activity)
            return
        missing = self._missing()
        self._segmentPanel.showReady(missing, 0.0 if missing else _neededBytes(parameters) / 1e9)
        if missing:
            self._choices.unfold()

    def _showRecommendation(self, parameters: BrainTumorSegParameterNode) -> None:
        """While the model's recommendation is used, the fields show it; unticked, they begin with it."""
        recommended = self._modelsPanel.recommendation(parameters.model)
        if not parameters.recommended or recommended is None or not _isInPanel(recommended):
            return
        if _limitsOf(parameters) == recommended:
            return
        setLimits(parameters, recommended, recommended=True)

    def _stepThreshold(self, steps: int) -> None:
        """Move the threshold's slider, which begins at the recommendation."""
        if self.parameters is not None:
            self.parameters.recommended = False
            slider = self._ui.thresholdSlider
            slider.value = min(slider.maximum, max(slider.minimum, slider.value + steps * slider.singleStep))

    def _onUndone(self) -> None:
        """The fields show what the result has again; it is already as they say."""
        parameters = self.parameters
        limits = limitsOf(parameters.segmentation) if parameters is not None and parameters.segmentation else None
        if parameters is None or limits is None or not _isInPanel(limits) or limits == _limitsOf(parameters):
            return
        self._resultPanel.threshold.forget()
        setLimits(parameters, limits, recommended=limits == self._modelsPanel.recommendation(parameters.model))

    def _forgetStudy(self, study: tuple[str, ...]) -> None:
        """What was said of another study is not true of this one."""
        if study != self._shownStudy and not self.isRunning:
            self._shownStudy = study
            self._segmentPanel.showText(self._modelNote)

    def leave(self) -> None:
        """Another module is opened: nothing of this one's stays over the views or on the keys."""
        self.shortcuts.setEnabled(False)
        self._resultPanel.overlay.hide()
        self._comparisonPanel.hide()

    def guessInputsOnce(self) -> None:
        """Choose the volumes unless the user has chosen any: a T1 that was left out stays out."""
        parameters = self.parameters
        if parameters is not None and (parameters.flair, parameters.t1, parameters.t1c) == (None, None, None):
            self.guessInputs()

    def guessInputs(self) -> None:
        """Choose the volumes that are not chosen yet by name and DICOM tags."""
        parameters = self.parameters
        if parameters is None:
            return
        guess = guessInputs(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), databaseTagReader())
        chosen = {node.GetID() for node in (parameters.flair, parameters.t1, parameters.t1c) if node is not None}
        for name in ("flair", "t1", "t1c"):
            node = getattr(guess, name)
            if node is not None and getattr(parameters, name) is None and node.GetID() not in chosen:
                setattr(parameters, name, node)

    def onSegment(self) -> None:
        """Cancel what runs; else bring packages and model if needed, then segment."""
        if self.isRunning and self.activity is not None:
            self.activity.cancel()
            return
        missing = self._missing() or self._computerPanel.ensurePackages()
        if missing:
            self._segmentPanel.showText(missing)
            return
        if self._areModelsKnown:
            self._startJob()
        else:
            self._follow(self._logic.startModelWork("list"), self._onModelsListed)

    def onRefine(self) -> None:
        """Segment again around what was corrected."""
        self._refuseSecond()
        self._follow(self._logic.startRefinement(self._segmentation()), self._onRefined)

    def _explain(self) -> None:
        """Ask what the classifier looked at in the slice in view, for the overlay."""
        try:
            self._refuseSecond()
            index = self._resultPanel.navigator.shown
            if index is None:
                raise InputError("No axial view shows a slice of this study.", "Show one, then try again.")
            self._follow(self._logic.startExplanation(self._segmentation(), index), self._onExplained)
        except BrainTumorSegError:
            self._resultPanel.overlay.hide()
            raise

    def _refuseSecond(self) -> None:
        missing = self._computerPanel.missingText()
        if missing:
            raise InputError(missing, "")
        if self.isRunning:
            raise InputError("Another job is running already.", "Wait for it, or cancel it first.")

    def _segmentation(self) -> Any:
        return self.parameters.segmentation if self.parameters is not None else None

    def _missing(self) -> str:
        """What prevents a start, in words; "" when nothing does."""
        parameters = self.parameters
        if parameters is None or parameters.flair is None:
            return _("Choose the FLAIR volume first.")
        chosen = _chosenVolumes(parameters)
        if len({node.GetID() for node in chosen.values()}) < len(chosen):
            return _("The same volume is chosen twice. Choose a different one, or none.")
        try:
            for role, node in chosen.items():
                checkVolume(node, role)
        except BrainTumorSegError as error:
            return str(error)
        return ""

    def _onModelsListed(self, work: Activity) -> None:
        assert isinstance(work, ChildWork)
        name = self.parameters.model if self.parameters is not None else ""
        needed = [each for each in self._modelsPanel.withClassifier(name) if work.states.get(each.name) != "installed"]
        isDamaged = any(work.states.get(each.name) == "damaged" for each in needed)
        if not needed:
            self._areModelsKnown = True
            self._startJob()
        elif confirmDownload(needed, self._ui.mirrorLineEdit.text, isDamaged):
            model = self._modelsPanel.withClassifier(name)[0]
            self._follow(self._logic.startModelWork("download", model.name), lambda _work: self._startJob())
        elif isDamaged:
            self._segmentPanel.showText(_("Nothing was segmented: the model on this computer is damaged."))
        else:
            self._segmentPanel.showText(_("Nothing was segmented: the model is not on this computer."))

    def _startJob(self) -> None:
        parameters = self.parameters
        if parameters is None:
            return
        try:
            job = self._logic.startSegmentation(
                parameters.flair,
                parameters.t1,
                parameters.t1c,
                parameters.segmentation,
                policy=_policy(parameters.segmentation),
                **vars(jobSettings(parameters)),
            )
        except BrainTumorSegError as error:
            self._segmentPanel.showText(str(error))
            return
        self._modelNote = ""
        self._follow(job, self._onSegmented)

    def _follow(self, activity: Activity, then: Callable[[Activity], None]) -> None:
        """Show an activity until its end, and go on with ``then`` if it went well."""
        self.activity = activity
        self._measuring.begin()
        self._segmentPanel.restartClock()
        activity.onChanged = lambda: self._onActivityChanged(activity, then)
        self._onActivityChanged(activity, then)

    def _onActivityChanged(self, activity: Activity, then: Callable[[Activity], None]) -> None:
        if activity is not self.activity:
            return
        if activity.isFinished and self.parameters is None:
            self.activity = None  # it was ended with the scene, of which there is nothing to say
            return
        if not activity.isFinished:
            self._segmentPanel.showActivity(activity)
            return
        self.activity = None
        self.update()
        if isinstance(activity, ExplanationJob) and activity.state is not State.DONE:
            self._resultPanel.overlay.hide()
        if activity.state is State.DONE:
            self._segmentPanel.showText("")
            then(activity)
        elif activity.failure is not None:
            self._areModelsKnown = self._areModelsKnown and activity.failure.kind != "model"
            self._segmentPanel.showText(failureText(activity.failure))
            self._showEnd()
        else:
            self._segmentPanel.showText(_("Cancelled. The scene is as it was."))

    def _onSegmented(self, job: Activity) -> None:
        assert isinstance(job, SegmentationJob), "followed as such"
        assert job.result is not None, "the state is DONE"
        parameters = self.parameters or self._logic.getParameterNode()
        parameters.segmentation = job.result.segmentationNode
        kept = _("Your corrected segmentation was kept; this is a new one.") if job.result.keptEdited else ""
        notes = (*map(inPanel, job.warnings), *map(remedyText, job.remedies))
        text = "\n".join(each for each in (job.result.message, kept) if each)
        self._segmentPanel.showText(text, [note for note in notes if note])
        self._resultPanel.overlay.hide()  # it is of the result before
        self._choices.fold()
        self._showEnd()
        # In a turn of its own: to turn the views to the result takes as long as all of the above.
        qt.QTimer.singleShot(0, visibly(partial(showResult, job.result.segmentationNode)))

    def _showEnd(self) -> None:
        """What was clicked may lie far below the line that says what came of it."""
        bringIntoView(self._ui.statusLabel, self._ui.batchCollapsibleButton)

    def _onRefined(self, job: Activity) -> None:
        assert isinstance(job, RefinementJob), "followed as such"
        text = _("Refined around your corrections: {volume:.2f} mL changed. 'Undo' takes it back.")
        self._segmentPanel.showText(text.format(volume=job.changedVolume_ml))
        self._showEnd()

    def _onExplained(self, job: Activity) -> None:
        assert isinstance(job, ExplanationJob), "followed as such"
        assert job.map is not None, "the state is DONE"
        self._resultPanel.overlay.showExplanation(job.map, job.index)
        text = (
            _("Slice {slice}: bright is what spoke most for tumour in this slice, which need not be where tumour is.")
            if job.map.any()
            else _("Slice {slice}: nothing in it spoke for tumour.")
        )
        self._segmentPanel.showText(text.format(slice=job.index + 1))

    def _startHandOver(
        self, segmentationNode: Any, folder: Path, documents: tuple[Document, ...], correctedBy: str
    ) -> None:
        self._refuseSecond()
        job = self._logic.startHandOver(segmentationNode, folder, documents, correctedBy)
        self._follow(job, self._onHandedOver)

    def _onHandedOver(self, job: Activity) -> None:
        assert isinstance(job, HandOverJob), "followed as such"
        self.update()
        first, count = job.paths[0], len(job.paths)
        files = first.name if count == 1 else _("{count} files").format(count=count)
        text = _("Written into {folder}: {files}.").format(folder=first.parent.name, files=files)
        self._segmentPanel.showText(text, [inPanel(note) for note in job.notes])
        self._showEnd()

    def _startComparison(self, referenceNode: Any, resultNode: Any, then: Callable[[Activity], None]) -> None:
        self._refuseSecond()
        self._follow(self._logic.startComparison(referenceNode, resultNode), then)

    def _startBatch(self, inputs: Path, outputs: Path) -> BatchJob:
        """With the settings of the panel, as for one study."""
        self._measuring.begin()
        settings = jobSettings(self.parameters) if self.parameters is not None else JobSettings()
        job: BatchJob = self._logic.startFolder(inputs, outputs, **vars(settings))
        return job

    def _startModelWork(self, action: str, *operands: str) -> ChildWork:
        """What the panel of models does may leave a model missing: the next click looks again."""
        self._areModelsKnown = False
        work: ChildWork = self._logic.startModelWork(action, *operands)
        return work

    def _onModelChosen(self, name: str) -> None:
        if self.parameters is not None and self.parameters.model != name:
            self._areModelsKnown, self._modelNote = False, ""
            self._resultPanel.threshold.forget()  # another model's recommendation is not about the shown result
            self.parameters.model = name

    def _onModelUnknown(self, name: str) -> None:
        """A scene of another version may name a model that is not in this one's index: said until a run begins."""
        self._onModelChosen("")
        text = _("The model '{name}' of this scene is not one of this version; 'Recommended' is chosen instead.")
        self._modelNote = text.format(name=name)
        self._segmentPanel.showText(self._modelNote)

    def _diagnostics(self, findings: Sequence[Mapping[str, Any]]) -> str:
        settings = jobSettings(self.parameters) if self.parameters is not None else JobSettings()
        last = self._logic.lastJob
        application = f"{slicer.app.applicationName} {slicer.app.applicationVersion}"
        stage, failure = (last.stage, last.failure) if last is not None else ("-", None)
        return diagnosticsText(application, settings, stage, failure, findings)


def _limitsOf(parameters: BrainTumorSegParameterNode) -> Limits:
    return Limits(parameters.threshold, parameters.minimumVolume_ml)


def _isInPanel(limits: Limits) -> bool:
    """Whether the fields can show them: the console and the index know no such bounds."""
    given = ((limits.threshold, THRESHOLD.in_panel), (limits.minimumVolume_ml, MIN_VOLUME.in_panel))
    return all(bounds is not None and bounds[0] <= value <= bounds[1] for value, bounds in given)


def _studyOf(parameters: BrainTumorSegParameterNode) -> tuple[str, ...]:
    """IDs of the nodes that the panel speaks of."""
    return tuple(node.GetID() if node else "" for node in (parameters.flair, parameters.segmentation))


def _chosenVolumes(parameters: BrainTumorSegParameterNode) -> dict[Role, Any]:
    """The volume nodes that were chosen, by what they are."""
    volumes = {Role.FLAIR: parameters.flair, Role.T1: parameters.t1, Role.T1C: parameters.t1c}
    return {role: node for role, node in volumes.items() if node is not None}


def _neededBytes(parameters: BrainTumorSegParameterNode) -> int:
    """The memory that segmenting the chosen study takes at most."""
    return needed_bytes(parameters.flair.GetImageData().GetDimensions(), len(_chosenVolumes(parameters)))


def _policy(segmentationNode: Any) -> EditedPolicy:
    """Ask what to do with a segmentation that someone has corrected; closing the question keeps it."""
    if segmentationNode is None or not hasEditedTumour(segmentationNode):
        return EditedPolicy.KEEP
    replace = isAgreed(
        _(
            "This segmentation was corrected by hand.\n\nReplace it by the new result?\n"
            "'No' keeps it and puts the new result into another segmentation.\n"
            "After 'Yes', 'Undo' brings it back."
        ),
        _("Corrected segmentation"),
    )
    return EditedPolicy.REPLACE if replace else EditedPolicy.KEEP
