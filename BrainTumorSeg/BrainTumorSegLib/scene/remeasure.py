"""Measuring a tumour again after someone corrected it, by the engine's own measures, and whether that is needed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.fingerprint import Fingerprint, fingerprintOf
from BrainTumorSegLib.scene.ownNodes import LESIONS, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.provenance import markEditedIfChanged, tumourSegmentIds
from BrainTumorSegLib.scene.resultTables import setSliceAreas, showLesions
from BrainTumorSegLib.scene.segmentVoxels import Mask, maskOnVolume
from BrainTumorSegLib.scene.volumeGeometry import ijkToWorld

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.study.geometry import Geometry

_MEASURED = "BrainTumorSeg.MeasuredFingerprint"


def isMeasured(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether the tables describe the tumour as it is. Looks at every voxel of its segments and changes nothing."""
    known = measuredMark(segmentationNode).splitlines()
    ids = tumourSegmentIds(segmentationNode)
    return (
        bool(ids)
        and len(known) == len(ids)
        and all(
            Fingerprint.ofText(text).agreesWith(fingerprintOf(segmentationNode, segmentId))
            for text, segmentId in zip(known, ids, strict=True)
        )
    )


def measuredMark(segmentationNode: slicer.vtkMRMLSegmentationNode) -> str:
    """What ``markMeasured`` has remembered, "" for nothing: another text stands for other voxels."""
    lesionsNode = partOf(segmentationNode, LESIONS)
    return (lesionsNode.GetAttribute(_MEASURED) or "") if lesionsNode is not None else ""


def markMeasured(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Remember with the table of lesions that it describes the tumour as it is now."""
    lesionsNode = partOf(segmentationNode, LESIONS)
    if lesionsNode is not None:
        marks = [fingerprintOf(segmentationNode, each).toText() for each in tumourSegmentIds(segmentationNode)]
        lesionsNode.SetAttribute(_MEASURED, "\n".join(marks))


def followEdits(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Mark a corrected segment as such and measure it where the tables are not about it; whether they changed.

    Raises InputError as ``remeasure`` does.
    """
    markEditedIfChanged(segmentationNode)
    if isMeasured(segmentationNode):
        return False
    remeasure(segmentationNode)
    return True


def remeasure(segmentationNode: slicer.vtkMRMLSegmentationNode) -> float:
    """Bring lesions and slice areas up to date with the tumour's segments; return their volume in mL.

    Measured on the FLAIR from which the segmentation was made, in world coordinates. Raises InputError if that volume
    or the result's tables are gone.
    """
    # scipy and SimpleITK take a second to load: only where somebody measures.
    from BrainTumorSegLib.engine.measurement.lesions import find_lesions
    from BrainTumorSegLib.engine.study.axial import AxialOrder

    flairNode, sliceScoresNode = _measured(segmentationNode)
    mask = tumourMask(segmentationNode, flairNode)
    geometry = geometryOf(flairNode)
    lesions = [asdict(lesion) for lesion in find_lesions(mask, geometry)]
    order = AxialOrder.of(geometry)
    areas_mm2 = np.count_nonzero(order.to_axial(mask), axis=(1, 2)) * order.pixel_area_mm2
    rows = sliceScoresNode.GetNumberOfRows()
    if rows != len(areas_mm2):
        raise InputError(f"The FLAIR volume has {len(areas_mm2)} slices now, but {rows} were segmented.", _REMEDY)
    showLesions({"lesions": lesions}, segmentationNode, "")
    setSliceAreas(sliceScoresNode, areas_mm2.tolist())
    markMeasured(segmentationNode)
    return float(mask.sum()) * geometry.voxel_volume_ml


def tumourMask(segmentationNode: slicer.vtkMRMLSegmentationNode, flairNode: slicer.vtkMRMLScalarVolumeNode) -> Mask:
    """The tumour, whatever the number of its segments, as bool [K, J, I] on FLAIR's grid."""
    mask = np.zeros(flairNode.GetImageData().GetDimensions()[::-1], bool)
    for segmentId in tumourSegmentIds(segmentationNode):
        mask |= maskOnVolume(segmentationNode, segmentId, flairNode)
    return mask


def _measured(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[Any, Any]:
    """The tumour's FLAIR volume and its slice scores."""
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    ids = tumourSegmentIds(segmentationNode)
    lesionsNode, sliceScoresNode = (partOf(segmentationNode, role) for role in (LESIONS, SLICE_SCORES))
    if flairNode is None or flairNode.GetImageData() is None or not ids or None in (lesionsNode, sliceScoresNode):
        raise InputError(
            "The tumour can't be measured: its segment, its FLAIR volume or its tables are not in the scene any more.",
            _REMEDY,
        )
    return flairNode, sliceScoresNode


_REMEDY = "Segment the study again, or measure with the Segment Statistics module."


def geometryOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """The volume's grid in the world, from MRML's RAS to the engine's LPS."""
    from BrainTumorSegLib.engine.study.geometry import Geometry

    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijkToWorld(volumeNode)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    sx, sy, sz = spacing.tolist()
    ox, oy, oz = matrix[:3, 3].tolist()
    direction = (matrix[:3, :3] / spacing).ravel().tolist()
    return Geometry(volumeNode.GetImageData().GetDimensions(), (sx, sy, sz), (ox, oy, oz), tuple(direction))
