"""Slice and 3D views of a MRML scene as pictures, drawn off-screen by Slicer's own view code, without its application.

Slicer's slice logic cuts the volumes and its displayable managers draw segmentations and slices; only the windows
around them are VTK's. Needs slicer-core, and OpenGL or Mesa.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
import vtk
from PIL import Image

NAMES = {"Axial": "Red", "Coronal": "Green", "Sagittal": "Yellow"}
"""Slicer's name of the view by the orientation that it starts with."""


class SceneViews:
    """Slicer's usual four views of a scene. size_px: width and height of each. folder: for temporary files."""

    def __init__(self, scene: Any, size_px: tuple[int, int], folder: Path) -> None:
        self._scene, self._size_px, self._folder = scene, size_px, folder
        self._application = slicer.applicationLogic
        self._kept: list[Any] = []  # VTK's windows and managers know each other by weak references

    def slice(self, orientation: str, volume: Any, position_ras: Sequence[float], zoom: float) -> Image.Image:
        """The volume and all visible segmentations in the slice through a point. zoom: 1 shows the whole volume."""
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application)
        logic.SetMRMLScene(self._scene)
        self._application.GetSliceLogics().AddItem(logic)
        node = logic.AddSliceNode(NAMES[orientation])
        node.SetOrientation(orientation)
        if orientation == "Axial":
            node.RotateToVolumePlane(volume)  # as the module does after a result
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        node.SetDimensions(*self._size_px, 1)
        logic.FitSliceToAll(*self._size_px)
        node.SetFieldOfView(*(side / zoom for side in node.GetFieldOfView()[:2]), node.GetFieldOfView()[2])
        node.JumpSlice(*position_ras)
        window, renderer = self._window()
        renderer.AddViewProp(_image_actor(logic))
        self._manage(window, renderer, node, [slicer.vtkMRMLSegmentationsDisplayableManager2D])
        self._kept.append(logic)
        return self._captured(window)

    def surfaces(self, camera_ras: Sequence[float], focus_ras: Sequence[float], height_mm: float) -> Image.Image:
        """Closed surfaces, and each slice that was drawn before and is switched on in 3D, seen from a point."""
        node = self._scene.AddNewNodeByClass("vtkMRMLViewNode")
        node.SetLayoutName("1")
        window, renderer = self._window()
        renderer.GradientBackgroundOn()
        renderer.SetBackground(node.GetBackgroundColor())
        renderer.SetBackground2(node.GetBackgroundColor2())
        managers = [slicer.vtkMRMLModelDisplayableManager, slicer.vtkMRMLSegmentationsDisplayableManager3D]
        self._manage(window, renderer, node, managers)
        camera = renderer.GetActiveCamera()
        camera.SetFocalPoint(*focus_ras)
        camera.SetPosition(*camera_ras)
        camera.SetViewUp(0, 0, 1)
        camera.ParallelProjectionOn()
        camera.SetParallelScale(height_mm / 2)
        renderer.ResetCameraClippingRange()
        return self._captured(window)

    def show_in_3d(self, orientation: str) -> None:
        """Switch a slice on in 3D, as the eye in its view's bar does."""
        self._scene.GetNodeByID(f"vtkMRMLSliceNode{NAMES[orientation]}").SetSliceVisible(True)

    def _window(self) -> tuple[Any, Any]:
        window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
        window.SetOffScreenRendering(True)
        window.SetSize(*self._size_px)
        window.AddRenderer(renderer)
        return window, renderer

    def _manage(self, window: Any, renderer: Any, node: Any, managers: Sequence[type]) -> None:
        """Let Slicer's managers draw into a window what the scene holds for a view's node."""
        interactor = vtk.vtkGenericRenderWindowInteractor()  # the managers take it for granted
        window.SetInteractor(interactor)
        interactor.SetRenderWindow(window)
        group = slicer.vtkMRMLDisplayableManagerGroup()
        group.SetRenderer(renderer)
        for make in managers:
            manager = make()
            manager.SetMRMLApplicationLogic(self._application)
            group.AddDisplayableManager(manager)
            self._kept.append(manager)
        group.SetMRMLDisplayableNode(node)
        self._kept += [interactor, group, window]

    def _captured(self, window: Any) -> Image.Image:
        window.Render()
        source, writer = vtk.vtkWindowToImageFilter(), vtk.vtkPNGWriter()
        source.SetInput(window)
        source.ReadFrontBufferOff()
        path = self._folder / "view.png"
        writer.SetFileName(str(path))
        writer.SetInputConnection(source.GetOutputPort())
        writer.Write()
        with Image.open(path) as image:
            return image.convert("RGB")


def _image_actor(logic: Any) -> Any:
    """The slice's pixels, which the logic has brought to grey values already, behind everything else."""
    mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor
