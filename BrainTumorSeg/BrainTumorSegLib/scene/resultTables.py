"""Slice scores and lesions of a report as table nodes. Column names name unit and frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import slicer
import vtk

from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.scene.ownNodes import LESIONS, SLICE_SCORES, partOf, partOrNew
from BrainTumorSegLib.scene.subjectHierarchy import placeBelow, placeBeside

_SLICE_COLUMNS = {
    "index": vtk.vtkIntArray,
    "position_mm": vtk.vtkDoubleArray,
    "tumour_probability": vtk.vtkDoubleArray,
    "segmented": vtk.vtkIntArray,  # unsigned characters come back from a saved scene as zeros
    "area_mm2": vtk.vtkDoubleArray,
    "mean_uncertainty": vtk.vtkDoubleArray,
    "doubtful_area_mm2": vtk.vtkDoubleArray,
    "reaches_edge": vtk.vtkIntArray,
}
_LESION_COLUMNS = {
    "id": vtk.vtkIntArray,
    "volume_ml": vtk.vtkDoubleArray,
    "longest_diameter_mm": vtk.vtkDoubleArray,
    "axial_diameter_mm": vtk.vtkDoubleArray,
    "axial_perpendicular_diameter_mm": vtk.vtkDoubleArray,
    "centroid_r_mm": vtk.vtkDoubleArray,
    "centroid_a_mm": vtk.vtkDoubleArray,
    "centroid_s_mm": vtk.vtkDoubleArray,
    "first_slice": vtk.vtkIntArray,
    "last_slice": vtk.vtkIntArray,
}


def showSliceScores(
    report: Mapping[str, Any], segmentationNode: slicer.vtkMRMLSegmentationNode, name: str
) -> slicer.vtkMRMLTableNode:
    """One row an axial slice, inferior first. position_mm: along the patient's superior axis, RAS z."""
    node = partOrNew(segmentationNode, SLICE_SCORES, "vtkMRMLTableNode", name)
    rows = [[each[column] for column in _SLICE_COLUMNS] for each in report["slices"]]
    _fill(node, _SLICE_COLUMNS, rows)
    placeTable(node, segmentationNode)
    return node


def sliceScoresOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[SliceScore, ...]:
    """The slice scores kept with a result, inferior first; () for a segmentation that is no result of this module."""
    node = partOf(segmentationNode, SLICE_SCORES)
    if node is None:
        return ()
    columns = {name: node.GetTable().GetColumnByName(name) for name in _SLICE_COLUMNS}
    rows = ({name: column.GetValue(row) for name, column in columns.items()} for row in range(node.GetNumberOfRows()))
    return tuple(
        SliceScore(**{**row, "segmented": bool(row["segmented"]), "reaches_edge": bool(row["reaches_edge"])})
        for row in rows
    )


def showLesions(
    report: Mapping[str, Any], segmentationNode: slicer.vtkMRMLSegmentationNode, name: str
) -> slicer.vtkMRMLTableNode:
    """One row per lesion, largest first; no row where no tumour was found. Centroids in RAS."""
    node = partOrNew(segmentationNode, LESIONS, "vtkMRMLTableNode", name)
    _fill(node, _LESION_COLUMNS, [_lesionRow(each) for each in report["lesions"]])
    placeTable(node, segmentationNode)
    return node


def placeTable(tableNode: slicer.vtkMRMLTableNode, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Put a table below the FLAIR that it is about; a segmentation's own item holds segments alone."""
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    if flairNode is not None:
        placeBelow(tableNode, flairNode)
    else:
        placeBeside(tableNode, segmentationNode)


def setSliceAreas(sliceScoresNode: slicer.vtkMRMLTableNode, areas_mm2: Sequence[float]) -> None:
    """Replace the areas of slice scores, one per row, inferior first; what the engine saw in each slice stays."""
    column = sliceScoresNode.GetTable().GetColumnByName("area_mm2")
    for row, area_mm2 in enumerate(areas_mm2):
        column.SetValue(row, area_mm2)
    column.Modified()
    sliceScoresNode.GetTable().Modified()
    sliceScoresNode.Modified()


def _lesionRow(lesion: Mapping[str, Any]) -> list[float]:
    return [
        lesion["id"],
        lesion["volume_ml"],
        lesion["longest_diameter_mm"],
        *lesion["axial_diameters_mm"],
        *lesion["centroid_ras"],
        *lesion["slices"],
    ]


def _fill(
    node: slicer.vtkMRMLTableNode, columns: Mapping[str, type[vtk.vtkDataArray]], rows: Sequence[Sequence[float]]
) -> None:
    """Replace a table's contents at once, so that views of it refresh once."""
    wasModifying = node.StartModify()
    node.RemoveAllColumns()
    for position, (name, kind) in enumerate(columns.items()):
        column = kind()
        column.SetName(name)
        for row in rows:
            column.InsertNextValue(row[position])
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.EndModify(wasModifying)
