# ruff: noqa: PT009, PT027 - Slicer has unittest, not pytest
"""The self test that a real Slicer runs: scene and files with Slicer's own nodes, and the whole way where it can.

Run by ctest in a build of the extension, or by hand:

    Slicer --testing --no-splash --additional-module-paths BrainTumorSeg --python-code
        "import slicer.testing; slicer.testing.runUnitTest(['BrainTumorSeg/Testing/Python'], 'BrainTumorSegSelfTest')"
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SampleData
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from BrainTumorSegLib.application.sampleStudy import registerSampleStudy
from BrainTumorSegLib.client.slicerPython import baseEnvironment, childEnvironment, engineCommand
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.comparison import compareSegments
from BrainTumorSegLib.scene.inputGuess import guessInputs
from BrainTumorSegLib.scene.provenance import isEdited, markEditedIfChanged, ownSegmentIds, readProvenance
from BrainTumorSegLib.scene.segmentVoxels import maskOnVolume, writeMask
from BrainTumorSegLib.scene.studyExport import exportStudy


class BrainTumorSegSelfTest(ScriptedLoadableModuleTest):
    """One test a promise; each starts with an empty scene and its own temporary folder."""

    def setUp(self):
        """Begin with an empty scene and an empty folder."""
        slicer.mrmlScene.Clear()
        folder = tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath)
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def tearDown(self):
        """No test may have loaded the engine's packages here."""
        loaded = {name.split(".")[0] for name in sys.modules}
        self.assertFalse(loaded & {"monai", "torchvision"}, "The engine's packages stay out of Slicer's process.")

    def test_exported_volume_lies_where_it_lies_in_the_world(self):
        """Read back by Slicer's own reader, a moved volume has its world position."""
        flair = self._volume("FLAIR")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 30.0)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(matrix)
        flair.SetAndObserveTransformNodeID(transform.GetID())
        study = exportStudy(flair, None, None, self.folder)
        loaded = slicer.util.loadVolume(str(study.flair.path))
        self.assertAlmostEqual(loaded.GetOrigin()[0], flair.GetOrigin()[0] + 30.0, places=4)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(flair))

    def test_warped_volume_is_refused(self):
        """A grid transform has no matrix: the message says what to do."""
        flair = self._volume("FLAIR")
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
        grid = vtk.vtkImageData()
        grid.SetDimensions(2, 2, 2)
        grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
        displacement = vtk.util.numpy_support.vtk_to_numpy(grid.GetPointData().GetScalars())
        displacement[:] = np.arange(displacement.size, dtype=float).reshape(displacement.shape)
        warp = slicer.vtkOrientedGridTransform()
        warp.SetDisplacementGridData(grid)
        transform.SetAndObserveTransformFromParent(warp)
        flair.SetAndObserveTransformNodeID(transform.GetID())
        with self.assertRaisesRegex(InputError, "Harden the transform"):
            exportStudy(flair, None, None, self.folder)

    def test_inputs_are_guessed_by_name(self):
        """FLAIR, T1 and contrast T1 find their places."""
        nodes = [self._volume(name) for name in ("T1 post contrast", "T1", "T2 FLAIR")]
        guess = guessInputs(nodes)
        self.assertEqual((guess.t1c, guess.t1, guess.flair), tuple(nodes))

    def test_sample_data_module_loads_the_checked_study(self):
        """By Slicer's own Sample Data module, which compares each file with its SHA-256."""
        registerSampleStudy(Path(slicer.util.modulePath("BrainTumorSeg")).parent / "Resources")
        nodes = SampleData.SampleDataLogic().downloadSamples("BrainTumorSegSample")
        names = [f"BrainTumorSegSample {sequence}" for sequence in ("FLAIR", "T1", "T1C")]
        self.assertEqual([node.GetName() for node in nodes], names)
        guess = guessInputs(nodes)
        self.assertEqual([guess.flair, guess.t1, guess.t1c], nodes)

    def test_sample_study_is_segmented_saved_and_corrected(self):
        """The whole way with the real engine, on the synthetic study whose tumour is known."""
        self._needEngine()
        nodes = {
            name: slicer.util.loadVolume(str(self._sample() / f"{name}.nii.gz")) for name in ("flair", "t1", "t1c")
        }
        logic = slicer.util.getModuleLogic("BrainTumorSeg")
        segmentation = logic.segment(nodes["flair"], nodes["t1"], nodes["t1c"])
        segmentId = ownSegmentIds(segmentation)[0]
        self.assertTrue(maskOnVolume(segmentation, segmentId, nodes["flair"]).any())
        self.assertGreater(self._diceWithReference(segmentation, segmentId, nodes["flair"]), 0.5)
        self._checkSaved(segmentation, segmentId)
        self._checkCorrected(segmentation, segmentId, nodes["flair"])
        self.assertNotIn("torch", sys.modules)

    def _checkSaved(self, segmentation, segmentId):
        path = str(self.folder / "saved.seg.nrrd")
        self.assertTrue(slicer.util.saveNode(segmentation, path))
        loaded = slicer.util.loadSegmentation(path)
        before = readProvenance(segmentation.GetSegmentation().GetSegment(segmentId))
        self.assertEqual(readProvenance(loaded.GetSegmentation().GetSegment(segmentId)), before)
        self.assertFalse(isEdited(loaded, segmentId))

    def _checkCorrected(self, segmentation, segmentId, flair):
        mask = maskOnVolume(segmentation, segmentId, flair)
        mask[mask.shape[0] // 2] = True
        writeMask(segmentation, segmentId, mask, flair)
        self.assertTrue(markEditedIfChanged(segmentation))

    def _diceWithReference(self, segmentation, segmentId, flair):
        reference = slicer.util.loadSegmentation(str(self._sample() / "reference.nii.gz"))
        referenceId = reference.GetSegmentation().GetNthSegmentID(0)
        return compareSegments(segmentation, segmentId, reference, referenceId, flair).dice

    def _needEngine(self):
        """Skip, with the reason, where this Slicer has no engine packages or no model yet."""
        environment = self._environment()
        check = "import torch, monai; from BrainTumorSegLib.engine.models.store import ModelStore; "
        check += "s = ModelStore.default(); s.path(s.entry(None).name)"
        command = [*engineCommand()[:1], "-c", check]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        if run.returncode != 0:
            self.skipTest(f"The engine is not ready here: {run.stderr.strip().splitlines()[-1]}")

    def _environment(self):
        return childEnvironment(baseEnvironment(engineCommand()[0], slicer.util.startupEnvironment))

    def _sample(self):
        """The folder of the synthetic study, made once a test."""
        folder = self.folder / "sample"
        if not folder.exists():
            command = engineCommand("sample", str(folder))
            subprocess.run(command, env=self._environment(), timeout=300, check=True)
        return folder

    def _volume(self, name):
        voxels = np.random.default_rng(0).integers(0, 500, (12, 16, 20), dtype=np.int16)
        return slicer.util.addVolumeFromArray(voxels, np.diag([-2.0, -2.0, 3.0, 1.0]), name)
