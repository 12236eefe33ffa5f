"""What a person has corrected since the last outline that was computed, and the outline refined by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import slicer

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.scene.lesions import joinLesions
from BrainTumorSegLib.scene.liveThreshold import Limits, limitsOf
from BrainTumorSegLib.scene.ownNodes import PROBABILITY, partOf
from BrainTumorSegLib.scene.provenance import isCalledAutomatic, tumourSegmentIds
from BrainTumorSegLib.scene.refinedOutline import RefinedOutline, keepRefined, refinedOutlineOf
from BrainTumorSegLib.scene.remeasure import geometryOf, tumourMask
from BrainTumorSegLib.scene.review import reviewedSlices
from BrainTumorSegLib.scene.segmentVoxels import Mask, writeMask
from BrainTumorSegLib.scene.undo import SegmentationUndo

_TUMOUR, _BACKGROUND, _HELD = 1, 2, 3


@dataclass(frozen=True)
class Corrections:
    """What a refinement starts from, each [K, J, I] on FLAIR's grid.

    now: the tumour as it is, bool. probability: float32, 0-1. labels: uint8, 1 where somebody has drawn tumour since
    the last outline, 2 where somebody has erased, 3 where somebody had drawn before, 0 elsewhere. minimumVolume_ml: of
    a lesion in the result.
    """

    flairNode: slicer.vtkMRMLScalarVolumeNode
    now: Mask
    probability: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    minimumVolume_ml: float


def isCorrected(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether a result is called corrected; what was edited just now may not be."""
    segments = map(segmentationNode.GetSegmentation().GetSegment, tumourSegmentIds(segmentationNode))
    return not all(isCalledAutomatic(segment) for segment in segments)


def correctionsOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Corrections:
    """What was corrected since the last result or refinement: voxels added are tumour, voxels taken away are not.

    Raises InputError where nothing was, or where the result's FLAIR or probability is not in the scene any more.
    """
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    probabilityNode = partOf(segmentationNode, PROBABILITY)
    sizes = [_sizeOf(node) for node in (flairNode, probabilityNode)]
    limits = limitsOf(segmentationNode)
    if None in sizes or sizes[0] != sizes[1] or limits is None:
        raise InputError(
            "This segmentation can't be refined: it is no result, or its FLAIR or its probability is not in the scene.",
            "Segment the study again, and correct the new result.",
        )
    now, probability = tumourMask(segmentationNode, flairNode), slicer.util.arrayFromVolume(probabilityNode)
    before = refinedOutlineOf(segmentationNode) or _asComputed(limits, flairNode, probability)
    if np.array_equal(now, before.outline):
        raise InputError(
            "Nothing was corrected since the last outline.",
            "Paint tumour or erase some in the Segment Editor first: some strokes where the outline is wrong.",
        )
    labels = np.where(before.drawn, np.uint8(_HELD), np.uint8(0))
    labels[now & ~before.outline], labels[before.outline & ~now] = _TUMOUR, _BACKGROUND
    return Corrections(flairNode, now, probability, labels, limits.minimumVolume_ml)


def takeRefined(
    segmentationNode: slicer.vtkMRMLSegmentationNode, refined: Mask, corrections: Corrections, undo: SegmentationUndo
) -> float:
    """Write a refined outline [K, J, I] on FLAIR's grid, one step of the undo; how many mL changed.

    Slices that are ticked off as reviewed by now stay as they are; lesions are joined, the surface is taken away, and
    nothing is measured yet: each takes its time. Raises InputError if the tumour is not what was refined any more: what
    was drawn meanwhile stays.
    """
    # SimpleITK takes its time to load: it has by now, for the correction was measured.
    from BrainTumorSegLib.engine.study.axial import AxialOrder

    flairNode, now = corrections.flairNode, corrections.now
    if not np.array_equal(tumourMask(segmentationNode, flairNode), now):
        raise InputError(
            "The segmentation was changed while it was being refined; it is as you left it.", "Refine it again."
        )
    geometry = geometryOf(flairNode)
    toAxial, reviewed = AxialOrder.of(geometry).to_axial, list(reviewedSlices(segmentationNode))
    toAxial(refined)[reviewed] = toAxial(now)[reviewed]
    undo.save(segmentationNode)
    segmentationNode.RemoveClosedSurfaceRepresentation()
    joinLesions(segmentationNode)
    writeMask(segmentationNode, tumourSegmentIds(segmentationNode)[0], refined, flairNode)
    keepRefined(segmentationNode, RefinedOutline(refined, corrections.labels > 0))
    return float(np.count_nonzero(refined != now)) * geometry.voxel_volume_ml


def _sizeOf(node: slicer.vtkMRMLVolumeNode | None) -> tuple[int, int, int] | None:
    image = node.GetImageData() if node is not None else None
    return image.GetDimensions() if image is not None else None


def _asComputed(
    limits: Limits, flairNode: slicer.vtkMRMLScalarVolumeNode, probability: npt.NDArray[np.float32]
) -> RefinedOutline:
    """The engine's own outline, from the probability and the limits that the segment's tags name."""
    from BrainTumorSegLib.engine.measurement.mask import mask_from_probability

    outline = mask_from_probability(probability, geometryOf(flairNode), limits.threshold, limits.minimumVolume_ml)
    return RefinedOutline(outline, np.zeros_like(outline))
