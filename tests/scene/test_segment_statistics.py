"""Measures beside those of Slicer's own module Segment Statistics, on segments in a real scene.

That module is not in slicer-core, but all that its plugin "Label Map" computes with is: volume is the count of the
segment's voxels times their size, ``centroid_ras``, ``feret_diameter_mm`` and ``obb_diameter_mm`` come from
``vtkITKLabelShapeStatistics``. The plugin itself (Slicer 583e9b37d5) was run by hand on the same segments.
Slicer measures no diameters in slices: there each slice becomes a segment of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs real MRML: pip install slicer-core")

import slicer
import vtk
from slicer_core import vtkITK

from BrainTumorSegLib.engine.measurement.lesions import find_lesions
from BrainTumorSegLib.engine.study.axial import AxialOrder, axial_geometry
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.scene.segmentVoxels import writeMask
from result_phantoms import GRIDS, ellipsoid, points_lps

every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)


def volumeOn(scene: Any, geometry: Geometry) -> Any:
    """An empty volume node on a grid of the engine."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "FLAIR")
    slicer.util.updateVolumeFromArray(node, np.zeros(geometry.shape_kji, np.uint8))
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine_lps
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(to_ras))
    return node


def slicersOwn(scene: Any, geometry: Geometry, mask: np.ndarray) -> dict[str, Any]:
    """What Segment Statistics says of a mask that becomes a segment."""
    volume = volumeOn(scene, geometry)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Tumour")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = node.GetSegmentation().AddEmptySegment("", "Tumour")
    writeMask(node, segment_id, mask, volume)
    labelmap = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    directions = vtk.vtkMatrix4x4()
    labelmap.GetDirectionMatrix(directions)
    statistics = vtkITK.vtkITKLabelShapeStatistics()
    statistics.SetInputData(labelmap)
    statistics.SetDirections(directions)
    names = {"centroid_ras": "Centroid", "feret_diameter_mm": "FeretDiameter", "obb_mm": "OrientedBoundingBoxSize"}
    for name in ("Centroid", "FeretDiameter", "OrientedBoundingBox"):
        statistics.ComputeShapeStatisticOn(name)
    statistics.Update()
    table = statistics.GetOutput()
    found = {key: np.array(table.GetColumnByName(name).GetTuple(0)) for key, name in names.items()}
    voxels = int(np.count_nonzero(slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id)))
    return {**found, "volume_mm3": voxels * np.prod(labelmap.GetSpacing())}


def bittenEllipsoid(geometry: Geometry) -> np.ndarray:
    """No symmetry hides a swapped axis."""
    bite = ellipsoid(geometry, (9.0, -13.0, 28.0), (6.0, 5.0, 7.0))
    return ellipsoid(geometry, (4.0, -8.0, 25.0), (7.0, 12.0, 9.0)) & ~bite


@every_grid
def test_volume_longest_diameter_and_centre_are_those_of_segment_statistics(scene: Any, geometry: Geometry) -> None:
    mask = bittenEllipsoid(geometry)
    (lesion,) = find_lesions(mask, geometry)
    own = slicersOwn(scene, geometry, mask)
    assert lesion.volume_ml * 1000 == pytest.approx(own["volume_mm3"])
    assert lesion.longest_diameter_mm == pytest.approx(own["feret_diameter_mm"][0])
    assert lesion.centroid_ras == pytest.approx(own["centroid_ras"])


@every_grid
def test_longest_axial_diameter_is_that_of_segment_statistics_in_the_longest_slice(
    scene: Any, geometry: Geometry
) -> None:
    mask = bittenEllipsoid(geometry)
    order = AxialOrder.of(geometry)
    lengths = []
    for plane in np.flatnonzero(order.to_axial(mask).any(axis=(1, 2))):
        alone = np.zeros_like(mask)
        order.to_axial(alone)[plane] = order.to_axial(mask)[plane]
        lengths.append(slicersOwn(scene, geometry, alone)["feret_diameter_mm"][0])
    (lesion,) = find_lesions(mask, geometry)
    assert lesion.axial_diameters_mm[0] == pytest.approx(max(lengths))


@every_grid
def test_axial_diameters_of_an_ellipse_are_the_sides_of_its_oriented_bounding_box(
    scene: Any, geometry: Geometry
) -> None:
    """Turned by 25 degrees in the slice. The box encloses whole voxels, a diameter joins their centres."""
    mask = np.zeros(geometry.shape_kji, bool)
    order = AxialOrder.of(geometry)
    points = points_lps(axial_geometry(geometry))
    middle = len(points) // 2
    order.to_axial(mask)[middle] = _turnedEllipse(points[middle])
    (lesion,) = find_lesions(mask, geometry)
    sides = np.sort(slicersOwn(scene, geometry, mask)["obb_mm"])[:0:-1]
    voxel_mm = max(order.spacing_mm[1:])
    assert lesion.axial_diameters_mm == pytest.approx(sides - voxel_mm, abs=voxel_mm)


def _turnedEllipse(points: np.ndarray) -> np.ndarray:
    """Points [rows, columns, 3] in an ellipse with half axes of 13 and 7 mm in the patient's transverse plane."""
    x, y = points[..., 0] - 7.0, points[..., 1] + 11.0
    angle = np.radians(25.0)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (along / 13) ** 2 + (across / 7) ** 2 <= 1
