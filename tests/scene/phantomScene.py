"""A ball in the world, seen by volume nodes on any grid under any transform, and files as the engine writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from BrainTumorSegLib.engine.measurement.result import Lesion, Result, SliceScore
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.output.report import build_report
from BrainTumorSegLib.engine.output.seg_nrrd import segmentation_fields
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Study
from BrainTumorSegLib.scene.resultImport import ResultFiles
from BrainTumorSegLib.scene.studyExport import ExportedStudy, exportStudy

BALL_CENTRE_RAS = np.array([12.0, -7.0, 21.0])
BALL_RADIUS_MM = 9.0
SIZE_IJK = (26, 24, 18)


def rotation(axis: int, degrees: float) -> np.ndarray:
    """4 x 4 rotation about a coordinate axis."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    first, second = (other for other in range(3) if other != axis)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def grid(directions: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """IJK to RAS of a grid of SIZE_IJK voxels centred on the ball."""
    matrix = np.eye(4)
    matrix[:3, :3] = directions[:3, :3] * np.asarray(spacing_mm)
    matrix[:3, 3] = BALL_CENTRE_RAS - matrix[:3, :3] @ ((np.asarray(SIZE_IJK) - 1) / 2)
    return matrix


AXIAL = grid(np.diag([-1.0, -1.0, 1.0, 1.0]), (1.5, 1.5, 3.0))
GRIDS = {
    "axial": AXIAL,
    "isotropic": grid(np.eye(4), (2.0, 2.0, 2.0)),
    "oblique, thick slices": grid(rotation(0, 25) @ rotation(2, -14), (1.2, 1.2, 3.5)),
    "sagittal": grid(np.array([[0, 0, -1.0], [-1, 0, 0], [0, 1, 0]]), (1.5, 1.5, 3.0)),
    "left-handed": grid(np.diag([1.0, -1.0, 1.0, 1.0]), (1.5, 1.5, 3.0)),
    "flipped slices, oblique": grid(rotation(1, 17) @ np.diag([-1.0, -1.0, -1.0, 1.0]), (1.5, 1.5, 3.0)),
}


def translation(offset_mm: tuple[float, float, float]) -> np.ndarray:
    """4 x 4 translation."""
    matrix = np.eye(4)
    matrix[:3, 3] = offset_mm
    return matrix


TRANSFORMS = {
    "no transform": None,
    "rigid transform": translation((30.0, -12.0, 7.0)) @ rotation(2, 33) @ rotation(0, -21),
    "mirroring transform": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "enlarging transform": np.diag([1.3, 1.3, 1.3, 1.0]),
}


def addVolume(scene: Any, name: str, ijkToRas: np.ndarray = AXIAL, transformNode: Any = None) -> Any:
    """A volume node that shows the ball at BALL_CENTRE_RAS of its own coordinates: 100 inside, 10 outside, int16."""
    points = ijkToRas @ np.stack([*np.indices(SIZE_IJK).reshape(3, -1), np.ones(np.prod(SIZE_IJK))])
    distance = np.linalg.norm(points[:3].T - BALL_CENTRE_RAS, axis=1).reshape(SIZE_IJK)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    voxels = np.where(distance <= BALL_RADIUS_MM, 100, 10).astype(np.int16).transpose(2, 1, 0)
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    node.CreateDefaultDisplayNodes()
    if transformNode is not None:
        node.SetAndObserveTransformNodeID(transformNode.GetID())
    return node


def addTransform(scene: Any, matrix: np.ndarray | None) -> Any:
    """A linear transform node, or None."""
    if matrix is None:
        return None
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def exportFlair(flairNode: Any, folder: Path) -> ExportedStudy:
    """FLAIR alone, exported."""
    return exportStudy(flairNode, None, None, folder)


def writeBall(study: ExportedStudy, folder: Path, threshold: float = 50) -> ResultFiles:
    """What the engine would write for this study, voxels by SimpleITK alone: above the threshold they are tumour."""
    image = sitk.ReadImage(str(study.flair.path))
    files = ResultFiles(folder / "tumour.seg.nrrd", folder / "probability.nrrd")
    labelmap = sitk.Cast(image > threshold, sitk.sitkUInt8)
    for name, text in segmentation_fields(anyResult()).items():
        labelmap.SetMetaData(name, text)
    sitk.WriteImage(labelmap, str(files.segmentation), useCompression=True)
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32) / 100, str(files.probability))
    return files


def reportOf(lesions: int = 1) -> dict[str, Any]:
    """A report as the engine builds it, with as many lesions as asked."""
    return build_report(anyResult(lesions))


def anyResult(lesions: int = 1) -> Result:
    """A result of the engine, small and made up."""
    grid_2x2x3 = Geometry((2, 2, 3), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    study = Study(np.zeros((3, 2, 2), np.float32), grid_2x2x3)
    return Result(
        study=study,
        mask=np.full((3, 2, 2), lesions > 0),
        probability=np.zeros((3, 2, 2), np.float32),
        slices=tuple(
            SliceScore(index, 1.0 + index, 0.75, True, 12.5, 0.125, 0.5, False) for index in range(SIZE_IJK[2])
        ),
        lesions=tuple(
            Lesion(number + 1, 3.05, 18.0, (17.5, 16.0), (12.0, -7.0, 21.0), (1, 2)) for number in range(lesions)
        ),
        segmentation_model=ModelProvenance("lgg", "1.0.0", "ab" * 32, "CC-BY-NC-SA-4.0"),
        classifier_model=ModelProvenance("slices", "1.0.0", "cd" * 32, "CC-BY-NC-SA-4.0"),
        settings=UsedSettings(0.5, 0.05, 0.1, True),
        device="cpu",
        precision="float32",
    )
