"""Whether a segment still holds the voxels that were written into it: a digest that outlives save and load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

# Coordinates pass through decimal text in files; half a micrometre is no edit.
_POSITION_TOLERANCE_MM = 5e-4


@dataclass(frozen=True)
class Fingerprint:
    """What one segment holds.

    sha256: of the size of the box around its voxels and of their bits in it. cornerRas: where that box's first voxel
    lies in the segmentation's own coordinates, mm; (0, 0, 0) for an empty segment.
    """

    sha256: str
    cornerRas: tuple[float, float, float]

    def agreesWith(self, other: Fingerprint) -> bool:
        """Whether both stand for the same voxels at the same place."""
        near = np.allclose(self.cornerRas, other.cornerRas, rtol=0, atol=_POSITION_TOLERANCE_MM)
        return self.sha256 == other.sha256 and bool(near)

    def toText(self) -> str:
        """As kept in a segment's tag."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def ofText(cls, text: str) -> Fingerprint:
        """The reverse of ``toText``. Raises ValueError for text that it did not write."""
        content = json.loads(text)
        if not isinstance(content, dict) or set(content) != {"sha256", "cornerRas"}:
            raise ValueError("not a fingerprint")
        x, y, z = (float(value) for value in content["cornerRas"])
        return cls(str(content["sha256"]), (x, y, z))


def fingerprintOf(segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str) -> Fingerprint:
    """The fingerprint of a segment's binary labelmap as it is now."""
    labelmap = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap)
    mask = _maskOf(labelmap)
    box = tuple(_range(mask, axis) for axis in range(3))
    if mask.size == 0 or any(side.stop == 0 for side in box):
        return Fingerprint(_digest(np.zeros((0, 0, 0), bool)), (0.0, 0.0, 0.0))
    return Fingerprint(_digest(mask[box]), _corner(labelmap, box))


def _maskOf(labelmap: slicer.vtkOrientedImageData) -> npt.NDArray[np.bool_]:
    """bool [K, J, I] over the labelmap's own extent."""
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None:
        return np.zeros((0, 0, 0), bool)
    return vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1]) != 0


def _range(mask: npt.NDArray[np.bool_], axis: int) -> slice:
    """First and last index along an axis at which the mask has any voxel."""
    others = tuple(other for other in range(3) if other != axis)
    found = np.flatnonzero(mask.any(axis=others))
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def _digest(mask: npt.NDArray[np.bool_]) -> str:
    return hashlib.sha256(json.dumps(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()


def _corner(labelmap: slicer.vtkOrientedImageData, box: tuple[slice, ...]) -> tuple[float, float, float]:
    extent = labelmap.GetExtent()
    first = [extent[0] + box[2].start, extent[2] + box[1].start, extent[4] + box[0].start, 1.0]
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    x, y, z, _one = matrix.MultiplyPoint(first)
    return (round(x, 4), round(y, 4), round(z, 4))
