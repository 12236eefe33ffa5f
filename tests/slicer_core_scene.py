"""A real MRML scene in plain Python, by the PyPI package slicer-core: what Slicer's application sets up, without it.

slicer-core has no application and no Qt, so nobody creates the scene and the modules' logics. ``makeScene`` does, and
publishes them where ``slicer.util`` and this project look: ``slicer.mrmlScene`` and ``slicer.modules.NAME.logic()``.
Everything behind these is Slicer's own C++: nodes, segmentations, storage, subject hierarchy, terminology.

Not covered: ``slicer.app``, file readers and writers (``slicer.util.loadVolume``, ``saveNode``, ``saveScene``; use
storage nodes and ``scene.WriteToMRB``), module plug-ins of the subject hierarchy, slice and 3D views, DICOM.
"""

# ruff: noqa: N802, N803, N806 - Slicer's camelCase
from __future__ import annotations

from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import slicer
import vtk


class _Module:
    """What ``slicer.modules.NAME`` gives: a way to the module's logic, kept alive here."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


def _attach(name: str, logic: Any, applicationLogic: Any) -> _Module:
    applicationLogic.SetModuleLogic(name, logic)
    logic.SetMRMLApplicationLogic(applicationLogic)
    logic.SetMRMLScene(applicationLogic.GetMRMLScene())
    return _Module(logic)


def _makeApplicationLogic(scene: Any) -> Any:
    applicationLogic = slicer.vtkSlicerApplicationLogic()
    applicationLogic.SetMRMLScene(scene)
    applicationLogic.SetSliceLogics(vtk.vtkCollection())
    applicationLogic.SetViewLogics(vtk.vtkCollection())
    return applicationLogic


def _attachCache(scene: Any, folder: str) -> Any:
    """What unpacks an .mrb, which Slicer's application sets up with its settings' cache folder."""
    logic = slicer.vtkMRMLRemoteIOLogic()
    logic.SetMRMLScene(scene)
    logic.AddDataIOToScene()
    logic.GetCacheManager().SetRemoteCacheDirectory(folder)
    return logic


def makeScene() -> Any:
    """Return a new ``vtkMRMLScene`` with the logics a segmentation needs, and make it ``slicer.mrmlScene``.

    Also sets ``slicer.modules`` (colors, volumes, segmentations, subjecthierarchy, terminologies) and
    the names of ours that keep the rest alive: ``slicer.applicationLogic``, ``cacheFolder``, ``remoteLogic``.
    The terminologies logic knows no list until one is loaded, for slicer-core ships none.
    """
    scene = slicer.vtkMRMLScene()
    applicationLogic = _makeApplicationLogic(scene)
    modules = {
        "colors": _attach("Colors", slicer.vtkMRMLColorLogic(), applicationLogic),
        "volumes": _attach("Volumes", slicer.vtkSlicerVolumesLogic(), applicationLogic),
        "segmentations": _attach("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic(), applicationLogic),
        "subjecthierarchy": _attach(
            "SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic(), applicationLogic
        ),
        # Not attached to the scene: it would look for Slicer's lists in a folder that slicer-core does not have.
        "terminologies": _Module(slicer.vtkSlicerTerminologiesModuleLogic()),
    }
    modules["colors"].logic().AddDefaultColorNodes()
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(**modules)
    slicer.applicationLogic = applicationLogic
    slicer.cacheFolder = TemporaryDirectory()
    slicer.remoteLogic = _attachCache(scene, slicer.cacheFolder.name)
    return scene
