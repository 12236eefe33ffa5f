"""What Slicer's application adds to a result that is handed over: who uses it, and what its 3D view shows."""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk


def userName() -> str:
    """The name in Slicer's settings (section User); "" where none is given."""
    return str(slicer.app.applicationLogic().GetUserInformation().GetName() or "")


def save3DView(path: Path) -> bool:
    """Save the first 3D view as PNG; False where no 3D view is open."""
    manager = slicer.app.layoutManager()
    view = manager.threeDWidget(0).threeDView() if manager is not None and manager.threeDViewCount else None
    if view is None or not view.visible:
        return False
    view.forceRender()
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(view.renderWindow())
    grabbed.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grabbed.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()
    return path.is_file()
