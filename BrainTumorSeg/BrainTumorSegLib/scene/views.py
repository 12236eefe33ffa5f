"""What the slice views show after a result: the image it was made from, in that image's own plane."""

from __future__ import annotations

import slicer

from BrainTumorSegLib.scene.ownNodes import LESIONS, partOf
from BrainTumorSegLib.scene.review import showPosition

_AXIAL = "Axial"


def showResult(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Show the result's FLAIR alone in every slice view, axial views in its plane, all at the largest lesion.

    Another sequence may lie centimetres away: an outline over it would be drawn across the skull. Where no tumour was
    found the views stay where they are. Nothing happens where the FLAIR is not in the scene any more.
    """
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    if flairNode is None:
        return
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(flairNode.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if view.GetDefaultOrientation() == _AXIAL or view.GetOrientation() == _AXIAL:
            view.RotateToVolumePlane(flairNode)
    centre = _largestLesion(segmentationNode)
    if centre is not None:
        showPosition(centre)


def isShownIn3D(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether its surface is there and switched on."""
    display = segmentationNode.GetDisplayNode()
    if display is None or not segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface"):
        return False
    return bool(display.GetVisibility() and display.GetVisibility3D())


def _largestLesion(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[float, float, float] | None:
    """Centroid in RAS, mm; lesions are listed largest first."""
    lesions = partOf(segmentationNode, LESIONS)
    if lesions is None or lesions.GetNumberOfRows() == 0:
        return None
    r, a, s = (lesions.GetTable().GetColumnByName(f"centroid_{axis}_mm").GetValue(0) for axis in "ras")
    return (float(r), float(a), float(s))
