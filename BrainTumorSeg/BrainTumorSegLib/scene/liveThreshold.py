"""A result at another threshold at once, from the probability that is kept with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import slicer

from BrainTumorSegLib.engine.settings import MIN_VOLUME, THRESHOLD
from BrainTumorSegLib.scene.ownNodes import LESIONS, PROBABILITY, SLICE_SCORES, partOf
from BrainTumorSegLib.scene.provenance import isCalledAutomatic, markWritten, tagOf, tumourSegmentIds
from BrainTumorSegLib.scene.remeasure import geometryOf, markMeasured, measuredMark
from BrainTumorSegLib.scene.resultTables import setSliceAreas, showLesions
from BrainTumorSegLib.scene.segmentVoxels import writeMask
from BrainTumorSegLib.scene.undo import SegmentationUndo
from BrainTumorSegLib.scene.volumeGeometry import isBent

if TYPE_CHECKING:
    from BrainTumorSegLib.engine.measurement.sweep import ThresholdSweep

SURFACE = "Closed surface"
assert THRESHOLD.in_panel is not None, "the panel has a slider for it"
LOWEST, HIGHEST = THRESHOLD.in_panel

_THRESHOLD_TAG = f"BrainTumorSeg.{THRESHOLD.tag}"
_MIN_VOLUME_TAG = f"BrainTumorSeg.{MIN_VOLUME.tag}"


@dataclass(frozen=True)
class Limits:
    """What makes a mask of a probability. threshold: 0-1. minimumVolume_ml: smaller pieces are left out."""

    threshold: float
    minimumVolume_ml: float


def limitsOf(segmentationNode: slicer.vtkMRMLSegmentationNode) -> Limits | None:
    """The limits with which a result was outlined, by its segment's tags; None for what is no result."""
    ids = tumourSegmentIds(segmentationNode)
    if not ids:
        return None
    segment = segmentationNode.GetSegmentation().GetSegment(ids[0])
    texts = [tagOf(segment, name) for name in (_THRESHOLD_TAG, _MIN_VOLUME_TAG)]
    return None if None in texts else Limits(*(float(text or "") for text in texts))


def canFollow(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether a result can be outlined anew: its probability is here, and nobody's corrections would be lost."""
    flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    probabilityNode = partOf(segmentationNode, PROBABILITY)
    if flairNode is None or probabilityNode is None or limitsOf(segmentationNode) is None or isBent(flairNode):
        return False
    images = (flairNode.GetImageData(), probabilityNode.GetImageData())
    if None in images or images[0].GetDimensions() != images[1].GetDimensions():
        return False
    if None in (partOf(segmentationNode, LESIONS), partOf(segmentationNode, SLICE_SCORES)):
        return False
    ids = tumourSegmentIds(segmentationNode)
    return len(ids) == 1 and isCalledAutomatic(segmentationNode.GetSegmentation().GetSegment(ids[0]))


class LiveThreshold:
    """Outlines results again as a slider moves. Consecutive moves on one result are one step of the undo."""

    def __init__(self, undo: SegmentationUndo) -> None:
        self._undo = undo
        self._source: tuple[Any, ...] = ()
        self._sweep: ThresholdSweep | None = None
        self._volumes_ml: dict[Limits, float] = {}
        self._lastWritten = ""

    def apply(self, segmentationNode: slicer.vtkMRMLSegmentationNode, limits: Limits) -> None:
        """Outline and measure a result with other limits; one for which ``canFollow`` holds.

        A closed surface is taken away, for it would take longer than the eye waits: ``makeSurface`` brings it back.
        """
        outline = self._sweepOf(segmentationNode).outline(limits.threshold, limits.minimumVolume_ml)
        if measuredMark(segmentationNode) != self._lastWritten:
            self._undo.save(segmentationNode)
        flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
        segmentId = tumourSegmentIds(segmentationNode)[0]
        segmentationNode.RemoveClosedSurfaceRepresentation()
        writeMask(segmentationNode, segmentId, outline.mask, flairNode, outline.start_kji)
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        segment.SetTag(_THRESHOLD_TAG, str(limits.threshold))
        segment.SetTag(_MIN_VOLUME_TAG, str(limits.minimumVolume_ml))
        markWritten(segmentationNode, segmentId)
        showLesions({"lesions": [asdict(lesion) for lesion in outline.lesions]}, segmentationNode, "")
        setSliceAreas(partOf(segmentationNode, SLICE_SCORES), outline.areas_mm2)
        markMeasured(segmentationNode)
        self._lastWritten = measuredMark(segmentationNode)

    def volume_ml(self, segmentationNode: slicer.vtkMRMLSegmentationNode, limits: Limits) -> float:
        """The volume that other limits would give."""
        sweep = self._sweepOf(segmentationNode)
        if limits not in self._volumes_ml:
            self._volumes_ml[limits] = sweep.volume_ml(limits.threshold, limits.minimumVolume_ml)
        return self._volumes_ml[limits]

    def _sweepOf(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> ThresholdSweep:
        """Kept until the probability or FLAIR's place changes."""
        # SimpleITK and scipy take a second to load: only where somebody moves a slider.
        from BrainTumorSegLib.engine.measurement.sweep import ThresholdSweep

        flairNode = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
        probabilityNode = partOf(segmentationNode, PROBABILITY)
        assert probabilityNode is not None, "canFollow has looked"
        geometry = geometryOf(flairNode)
        source = (probabilityNode.GetImageData(), probabilityNode.GetImageData().GetMTime(), geometry)
        if self._sweep is None or source != self._source:
            probability = slicer.util.arrayFromVolume(probabilityNode)
            self._sweep = ThresholdSweep(probability, geometry, LOWEST)
            self._source, self._volumes_ml = source, {}
        return self._sweep
