"""A real MRML scene in plain Python, by the PyPI package slicer-core: what Slicer's application sets up, without it.

slicer-core has no application and no Qt, so nobody creates the scene and the modules' logics. ``makeScene`` does, and
publishes them where ``slicer.util`` and this project look: ``slicer.mrmlScene`` and ``slicer.modules.NAME.logic()``.
Everything behind these is Slicer's own C++: nodes, segmentations, storage, subject hierarchy, terminology.

Not covered: ``slicer.app``, file readers and writers (``slicer.util.loadVolume``, ``saveNode``, ``saveScene``; use
storage nodes and ``scene.WriteToMRB``), module plug-ins of the subject hierarchy, slice and 3D views, DICOM.
"""

from __future__ import annotations

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


def _attachLogic(logic: Any, scene: Any, applicationLogic: Any) -> _Module:
    if hasattr(logic, "SetMRMLApplicationLogic"):
        logic.SetMRMLApplicationLogic(applicationLogic)
    logic.SetMRMLScene(scene)
    return _Module(logic)


def makeScene() -> Any:
    """Return a new ``vtkMRMLScene`` with the logics a segmentation needs, and make it ``slicer.mrmlScene``.

    Also sets ``slicer.modules`` (volumes, segmentations, subjecthierarchy, terminologies, colors) and
    ``slicer.applicationLogic`` (a name of ours that keeps the logic alive; Slicer has ``slicer.app``).
    """
    scene = slicer.vtkMRMLScene()
    applicationLogic = slicer.vtkSlicerApplicationLogic()
    applicationLogic.SetMRMLScene(scene)
    applicationLogic.SetSliceLogics(vtk.vtkCollection())
    applicationLogic.SetViewLogics(vtk.vtkCollection())
    applicationLogic.GetColorLogic().SetMRMLScene(scene)
    applicationLogic.GetColorLogic().AddDefaultColorNodes()
    logics = {
        "volumes": slicer.vtkSlicerVolumesLogic(),
        "terminologies": slicer.vtkSlicerTerminologiesModuleLogic(),
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
        "subjecthierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic(),
    }
    modules = {name: _attachLogic(logic, scene, applicationLogic) for name, logic in logics.items()}
    modules["colors"] = _Module(applicationLogic.GetColorLogic())
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(**modules)
    slicer.applicationLogic = applicationLogic
    return scene
