"""The module as Slicer sees it: names and wiring. What it does is in BrainTumorSegLib."""

# ruff: noqa: PT009 - Slicer has unittest, not pytest

import logging
import sys
import time
from pathlib import Path

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from BrainTumorSegLib.application.handOver import save3DView, userName
from BrainTumorSegLib.application.sampleStudy import registerSampleStudy
from BrainTumorSegLib.client.process import WorkerProcess
from BrainTumorSegLib.client.session import EngineSession
from BrainTumorSegLib.client.slicerPython import baseEnvironment, childEnvironment, engineCommand, pythonExecutable
from BrainTumorSegLib.engine.errors import InputError, ModelError
from BrainTumorSegLib.engine.models.index import read_index
from BrainTumorSegLib.jobs.activity import ChildWork
from BrainTumorSegLib.jobs.batch import BatchJob, BatchPlan
from BrainTumorSegLib.jobs.comparisonJob import ComparisonJob
from BrainTumorSegLib.jobs.engineJob import EngineJob
from BrainTumorSegLib.jobs.explanationJob import ExplanationJob
from BrainTumorSegLib.jobs.handOverJob import HandOverJob, HandOverOrder
from BrainTumorSegLib.jobs.refinementJob import RefinementJob
from BrainTumorSegLib.jobs.segmentationJob import JobNodes, SegmentationJob
from BrainTumorSegLib.jobs.settings import JobSettings
from BrainTumorSegLib.scene.resultImport import EditedPolicy
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.views import isShownIn3D
from BrainTumorSegLib.widget.controller import Controller
from BrainTumorSegLib.widget.modelsPanel import MIRROR_SETTING
from BrainTumorSegLib.widget.parameters import BrainTumorSegParameterNode

POLL_INTERVAL_MS = 50


class BrainTumorSeg(ScriptedLoadableModule):
    """Title, category and help of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Brain Tumor Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        # Slicer loads modules in this order, and of two readers of one format the one registered first is used: with
        # Segmentations before Volumes every NIfTI that anybody drops would open as a segmentation.
        parent.dependencies = ["Volumes", "Segmentations", "SubjectHierarchy", "Terminologies"]
        parent.contributors = ["The BrainTumorSeg contributors"]
        parent.helpText = _(
            "Outlines lower-grade brain tumours (FLAIR abnormality) in MR studies, measures them and says which slices "
            "to look at twice. Choose the FLAIR volume, T1 and T1 with contrast where you have them, and click "
            "<b>Segment tumour</b>.<br>"
            "Keys while this module is open: N and P go to the next and previous slice to review, X ticks it off, "
            "O shows and hides the outline, comma and full stop lower and raise the threshold.<br>"
            "<b>Not a medical device.</b> See the "
            '<a href="https://github.com/BrainTumorSeg/SlicerBrainTumorSeg">user guide</a>.'
        )
        parent.acknowledgementText = _(
            "Trained on the LGG MRI segmentation data set (Buda, Saha, Mazurowski 2019; images of TCIA's TCGA-LGG). "
            "The software is licensed under Apache 2.0, the models under CC BY-NC-SA 4.0: non-commercial use only."
        )
        slicer.app.connect("startupCompleted()", self.registerSampleData)

    def registerSampleData(self):
        """Called once the Sample Data module is there too."""
        registerSampleStudy(Path(self.resourcePath("")))


class BrainTumorSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Loads the .ui and follows the scene; the Controller does the rest."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.controller = None
        self._parameterNode = None
        self._guiTag = None

    def setup(self):
        """Called when the user opens the module for the first time, and after a reload."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/BrainTumorSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = BrainTumorSegLogic()
        self.controller = Controller(self.ui, self.logic, self._modelEntries(), self.resourcePath("requirements.txt"))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneSettled)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneSettled)
        self.initializeParameterNode()

    def cleanup(self):
        """Called before a reload and when the application closes."""
        if self.controller is None:
            return  # setup has failed, and Slicer has said so
        self.controller.leave()
        self.setParameterNode(None)
        self.removeObservers()
        self.controller.shortcuts.remove()
        self.logic.shutdown()

    def enter(self):
        """Called each time the user opens the module. While another is open, the panel goes on following its job."""
        self.initializeParameterNode()
        self.controller.shortcuts.setEnabled(True)

    def exit(self):
        """Called when another module is opened."""
        self.controller.leave()

    def onSceneStartClose(self, _caller, _event):
        """A running job has lost its study: end it and its process."""
        self._letGoOfParameters()
        self.logic.abandon()

    def onSceneStartImport(self, _caller, _event):
        """Selectors that follow the scene while it fills would undo the choices that come with it."""
        self._letGoOfParameters()

    def _letGoOfParameters(self):
        self.setParameterNode(None)
        self.logic.forgetParameterNode()

    def onSceneSettled(self, _caller, _event):
        """Follow the new parameter node at once if the module is open."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onReload(self):
        """Reload BrainTumorSegLib too, which Slicer's own reload leaves as it was."""
        for name in [name for name in sys.modules if name.split(".")[0] == "BrainTumorSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self):
        """Follow the scene's parameter node, and choose the volumes where none is chosen yet."""
        if self._parameterNode is None:
            self.setParameterNode(self.logic.getParameterNode())
        else:
            self.controller.update()
        self.controller.guessInputsOnce()

    def setParameterNode(self, parameterNode):
        """Bind the widgets to a parameter node; None to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            # Not connectGui: it returns no tag (Slicer's pull request 8667), so nothing would ever be disconnected.
            self._guiTag = parameterNode.connectParametersToGui(self._parameterWidgets())
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self.controller.show(parameterNode)

    def _parameterWidgets(self):
        """The widgets that show a parameter, by its name, which the .ui gives them as SlicerParameterName."""
        named = ((widget.property("SlicerParameterName"), widget) for widget in vars(self.ui).values())
        return {name: widget for name, widget in named if name}

    def onParameterNodeModified(self, _caller=None, _event=None):
        """Refresh what depends on the choices."""
        self.controller.update()

    def _modelEntries(self):
        try:
            return read_index(Path(self.resourcePath("Models.json"))).models
        except ModelError as error:
            logging.error(str(error))
            return ()


class BrainTumorSegLogic(ScriptedLoadableModuleLogic):
    """Segments without the panel, for the Python console and other modules.

    logic = slicer.util.getModuleLogic("BrainTumorSeg")
    segmentation = logic.segment(flairNode, t1Node, t1cNode, threshold=0.4)

    ``settings`` are the fields of ``BrainTumorSegLib.jobs.settings.JobSettings``.
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = EngineSession(lambda: self._makeProcess(engineCommand("worker")))
        self.undo = SegmentationUndo()
        self.lastJob = None
        self._parameters = None
        self._activities = []
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.poll)
        slicer.app.connect("aboutToQuit()", self.shutdown)

    def getParameterNode(self):
        """The module's choices in the scene; one wrapper for all, since each of them remembers what it has read."""
        node = super().getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = BrainTumorSegParameterNode(node)
        return self._parameters

    def forgetParameterNode(self):
        """Read the choices anew next time: the scene is about to replace them."""
        self._parameters = None

    def segment(self, flairNode, t1Node=None, t1cNode=None, segmentationNode=None, **settings):
        """Segment one study, wait for it while the application stays alive, and return the segmentation node.

        Raises BrainTumorSegError, with what to do, if it fails; Cancelled if it was cancelled meanwhile.
        """
        job = self.startSegmentation(flairNode, t1Node, t1cNode, segmentationNode, **settings)
        self.waitFor(job)
        job.raiseIfFailed()
        return job.result.segmentationNode

    def startSegmentation(
        self, flairNode, t1Node=None, t1cNode=None, segmentationNode=None, policy=EditedPolicy.KEEP, **settings
    ):
        """Begin to segment one study and return the job at once; ``job.cancel()`` stops it.

        ``job.state``, ``job.fraction``, ``job.failure`` and ``job.result`` say how it goes; ``job.onChanged`` is called
        at every change. Raises InputError if a job runs or a setting is wrong.
        """
        self._refuseSecondJob()
        nodes = JobNodes.of(flairNode, t1Node, t1cNode, segmentationNode)
        job = SegmentationJob(self.session, nodes, JobSettings(**settings), self.undo, slicer.app.temporaryPath, policy)
        self.lastJob = job
        self._follow(job)
        return job

    def refine(self, segmentationNode):
        """Segment again around what was corrected in a result since it was made or refined last; wait for it.

        Voxels that were added hold as tumour, voxels that were taken away as background, and slices that are ticked off
        as reviewed stay as they are. One step of the undo. Returns the volume that changed, mL. Raises InputError
        where nothing was corrected.
        """
        job = self.startRefinement(segmentationNode)
        self.waitFor(job)
        job.raiseIfFailed()
        return job.changedVolume_ml

    def startRefinement(self, segmentationNode):
        """Begin the same and return the job at once; ``job.changedVolume_ml`` is there at the end."""
        self._refuseSecondJob()
        job = RefinementJob(self.session, segmentationNode, self.undo, slicer.app.temporaryPath)
        self._follow(job)
        return job

    def explain(self, segmentationNode, sliceIndex):
        """What the slice classifier looked at in an axial slice of a result (from 0, the lowest); wait for it.

        Returns a float32 array [K, J, I] on FLAIR's grid, as slicer.util.arrayFromVolume gives it: 0 to 1, 1 where most
        spoke for tumour in this slice, 0 in all others. Raises InputError where the model has no slice classifier.
        """
        job = self.startExplanation(segmentationNode, sliceIndex)
        self.waitFor(job)
        job.raiseIfFailed()
        return job.map

    def startExplanation(self, segmentationNode, sliceIndex):
        """Begin the same and return the job at once; ``job.map`` is there at the end."""
        self._refuseSecondJob()
        job = ExplanationJob(self.session, segmentationNode, sliceIndex, slicer.app.temporaryPath)
        self._follow(job)
        return job

    def handOver(self, segmentationNode, folder, documents=("result", "pdf"), correctedBy=None):
        """Write a result into an existing folder for others, wait for it, and return the paths.

        documents: of "result" (segmentation and tables), "pdf" and "html" (one page for people) and "dicom" (a DICOM
        segmentation, for a FLAIR from DICOM); all of them or none, and a DICOM segmentation that can't be made stops
        nothing else. correctedBy: who corrected the outline, where somebody did; by default the name in Slicer's
        settings, "" for nobody's. Raises BrainTumorSegError.
        """
        job = self.startHandOver(segmentationNode, folder, documents, correctedBy)
        self.waitFor(job)
        job.raiseIfFailed()
        for note in job.notes:
            logging.warning(note)
        return job.paths

    def startHandOver(self, segmentationNode, folder, documents=("result", "pdf"), correctedBy=None):
        """Begin the same and return the job at once; its ``paths`` and ``notes`` are there at the end."""
        self._refuseSecondJob()

        def drawIn3D(path):
            return isShownIn3D(segmentationNode) and save3DView(path)

        by = userName() if correctedBy is None else correctedBy
        order = HandOverOrder.of(documents, Path(folder).absolute(), correctedBy=by, drawIn3D=drawIn3D)
        job = HandOverJob(self.session, segmentationNode, order, slicer.app.temporaryPath)
        self._follow(job)
        return job

    def compare(self, firstNode, secondNode):
        """Compare two segmentations, wait for it, and return the numbers (``Comparison``): Dice, HD95, volumes, change.

        firstNode: the reference, or the earlier study; its voxels are counted. Each lies where the scene shows it; one
        of another study that lies badly is registered first. Raises BrainTumorSegError.
        """
        job = self.startComparison(firstNode, secondNode)
        self.waitFor(job)
        job.raiseIfFailed()
        return job.comparison

    def startComparison(self, firstNode, secondNode):
        """Begin the same and return the job at once; ``comparison`` and ``motion`` are there at the end."""
        self._refuseSecondJob()
        job = ComparisonJob(self.session, firstNode, secondNode, slicer.app.temporaryPath)
        self._follow(job)
        return job

    def segmentFolder(self, inputFolder, outputFolder, resume=True, workers=None, **settings):
        """Segment every study of a folder (or CSV list), wait for all, and return one row (a dict) a study.

        The rows are in ``outputFolder/summary.csv`` too, also those of studies that failed. With ``resume`` what is
        done already is not done again. Raises InputError if there is no study, or if the results in the folder were
        made by other settings, models or from other files.
        """
        job = self.startFolder(inputFolder, outputFolder, resume, workers, **settings)
        self.waitFor(job)
        job.raiseIfFailed()
        return job.rows

    def startFolder(self, inputFolder, outputFolder, resume=True, workers=None, **settings):
        """Begin the same and return the job at once; ``job.cancel()`` stops it, and ``job.rows`` grows."""
        where = (Path(inputFolder).absolute(), Path(outputFolder).absolute())
        chosen = JobSettings(**settings)
        job = BatchJob(self._makePythonProcess, engineCommand("worker"), *where, chosen, resume, workers)
        self._follow(job)
        return job

    def planFolder(self, inputFolder, outputFolder):
        """Begin to look for the studies of a folder (or CSV list); ``job.studies`` is what was found, at the end."""
        where = (Path(inputFolder).absolute(), Path(outputFolder).absolute())
        job = BatchPlan(self._makePythonProcess, *where)
        self._follow(job)
        return job

    def startModelWork(self, action, *operands):
        """Begin list, download, import, verify, remove or removeAll on the installed models."""
        work = ChildWork.onModels(self._makePythonProcess, action, *operands)
        self._follow(work)
        return work

    def startInstallation(self, pipArguments):
        """Begin an installation by pip in a child process."""
        work = ChildWork.installing(self._makePythonProcess, pipArguments)
        self._follow(work)
        return work

    def examine(self, onEvent):
        """Ask the engine what this computer can run; ``onEvent`` gets its last event."""
        self.session.submit({"command": "doctor"}, onEvent)
        self._timer.start()

    def waitFor(self, activity):
        """Wait for the end of an activity while the application handles its events."""
        while not activity.isFinished:
            slicer.app.processEvents()
            self.poll()
            time.sleep(0.01)

    def poll(self):
        """Take what the child processes have said; called by the timer while anything runs."""
        # Slicer holds Python's lock while it waits for the user: without a pause the threads that read the pipes
        # would get their turn only by chance.
        time.sleep(0.001)
        self.session.poll()
        for activity in list(self._activities):
            activity.poll()
        self._activities = [activity for activity in self._activities if not activity.isFinished]
        if not self._activities and not self.session.isBusy:
            self._timer.stop()

    def abandon(self):
        """End every activity and the engine's process now, as for a closed scene."""
        for activity in self._activities:
            activity.abandon()
        self._activities = []
        self.session.stop()
        self.undo.forget()
        self._timer.stop()

    def shutdown(self):
        """End everything for good: before a reload and when the application quits."""
        self.abandon()

    def _refuseSecondJob(self):
        if any(isinstance(each, EngineJob) and not each.isFinished for each in self._activities):
            raise InputError("Another job is running already.", "Wait for it, or cancel it first.")

    def _follow(self, activity):
        self._activities.append(activity)
        self._timer.start()

    def _makeProcess(self, command):
        mirror = slicer.util.settingsValue(MIRROR_SETTING, "")
        base = baseEnvironment(command[0], slicer.util.startupEnvironment)
        return WorkerProcess(command, childEnvironment(base, mirror))

    def _makePythonProcess(self, arguments):
        return self._makeProcess([pythonExecutable(), "-m", *arguments])


class BrainTumorSegTest(ScriptedLoadableModuleTest):
    """The self test that Slicer runs; the test cases are in Testing/Python."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Open the panel on a study made in memory and look at it; no engine, model or package is needed."""
        self.setUp()
        self.test_panelFindsTheStudyAndSaysWhatIsMissing()

    def test_panelFindsTheStudyAndSaysWhatIsMissing(self):
        """FLAIR, T1 and contrast T1 are chosen by name, and the button is ready."""
        # Without selecting the module, for tests may run without a main window.
        widget = slicer.util.getModuleWidget("BrainTumorSeg")
        widget.initializeParameterNode()
        self.assertFalse(widget.ui.segmentButton.enabled)
        self.assertIn("FLAIR", widget.ui.segmentButton.toolTip)
        for name in ("FLAIR", "T1", "T1 post contrast"):
            slicer.util.addVolumeFromArray(np.arange(512.0).reshape(8, 8, 8), name=name)
        widget.controller.guessInputs()
        self.assertEqual(widget.ui.flairSelector.currentNode().GetName(), "FLAIR")
        self.assertEqual(widget.ui.t1cSelector.currentNode().GetName(), "T1 post contrast")
        self.assertTrue(widget.ui.segmentButton.enabled)
        self.assertNotIn("torch", sys.modules)
