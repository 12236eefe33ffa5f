"""What made a segment, kept in its tags, which survive .mrb and .seg.nrrd."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import slicer
import vtk

from BrainTumorSegLib.scene.fingerprint import Fingerprint, fingerprintOf

ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"
ALGORITHM_NAME = "DICOM.SegmentAlgorithmName"
_PREFIX = "BrainTumorSeg."
_FINGERPRINT = f"{_PREFIX}Fingerprint"

# DICOM value representation LO, which Segment Algorithm Name (0062,0009) has.
_LONGEST_NAME = 64


class AlgorithmType(StrEnum):
    """DICOM Segment Algorithm Type (0062,0008)."""

    AUTOMATIC = "AUTOMATIC"
    SEMIAUTOMATIC = "SEMIAUTOMATIC"


@dataclass(frozen=True)
class Provenance:
    """Which software, weights, settings and inputs made a segment.

    classifier: name, version and SHA-256 of the slice classifier, "" where none ran. settings: as in the report.
    inputUids: DICOM series UID by sequence ("flair", "t1", "t1c"), "" where the volume did not come from DICOM.
    """

    softwareVersion: str
    modelName: str
    modelVersion: str
    modelSha256: str
    classifier: str
    device: str
    settings: Mapping[str, Any]
    inputUids: Mapping[str, str]

    @classmethod
    def ofReport(cls, report: Mapping[str, Any], inputUids: Mapping[str, str]) -> Provenance:
        """From the engine's report and the series UIDs of the nodes that were exported."""
        model, classifier = report["models"]["segmentation"], report["models"]["classifier"]
        return cls(
            softwareVersion=report["software"]["braintumorseg"],
            modelName=model["name"],
            modelVersion=model["version"],
            modelSha256=model["sha256"],
            classifier=" ".join(classifier[key] for key in ("name", "version", "sha256")) if classifier else "",
            device=report["device"],
            settings=dict(report["settings"]),
            inputUids=dict(inputUids),
        )

    @property
    def algorithmName(self) -> str:
        """Software, version, model and the start of its SHA-256, at most 64 characters as DICOM allows."""
        name = f"BrainTumorSeg {self.softwareVersion} {self.modelName} {self.modelVersion}"
        digest = f" {self.modelSha256[:12]}"
        return name[: _LONGEST_NAME - len(digest)] + digest

    def toTags(self) -> dict[str, str]:
        """Tag name to text. No text has a line break or '|', which .seg.nrrd separates tags by."""
        return {
            ALGORITHM_NAME: self.algorithmName,
            f"{_PREFIX}SoftwareVersion": self.softwareVersion,
            f"{_PREFIX}ModelName": self.modelName,
            f"{_PREFIX}ModelVersion": self.modelVersion,
            f"{_PREFIX}ModelSha256": self.modelSha256,
            f"{_PREFIX}Classifier": self.classifier,
            f"{_PREFIX}Device": self.device,
            f"{_PREFIX}Settings": _toJson(self.settings),
            f"{_PREFIX}InputUids": _toJson(self.inputUids),
        }


def writeProvenance(segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str, provenance: Provenance) -> None:
    """Tag a segment whose voxels the engine has just made."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    tags = {**provenance.toTags(), ALGORITHM_TYPE: AlgorithmType.AUTOMATIC.value}
    tags[_FINGERPRINT] = fingerprintOf(segmentationNode, segmentId).toText()
    for name, text in tags.items():
        segment.SetTag(name, text)


def readProvenance(segment: slicer.vtkSegment) -> Provenance | None:
    """What the tags of a segment say; None for a segment that this module did not make."""
    if tagOf(segment, f"{_PREFIX}ModelSha256") is None:
        return None
    texts = {name: tagOf(segment, f"{_PREFIX}{name}") or "" for name in _TEXT_TAGS}
    return Provenance(
        softwareVersion=texts["SoftwareVersion"],
        modelName=texts["ModelName"],
        modelVersion=texts["ModelVersion"],
        modelSha256=texts["ModelSha256"],
        classifier=texts["Classifier"],
        device=texts["Device"],
        settings=json.loads(texts["Settings"]),
        inputUids=json.loads(texts["InputUids"]),
    )


_TEXT_TAGS = (
    "SoftwareVersion",
    "ModelName",
    "ModelVersion",
    "ModelSha256",
    "Classifier",
    "Device",
    "Settings",
    "InputUids",
)


def ownSegmentIds(segmentationNode: slicer.vtkMRMLSegmentationNode) -> tuple[str, ...]:
    """The segments that this module made, in the node's order; a copy made by the user counts."""
    segmentation = segmentationNode.GetSegmentation()
    ids = (segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments()))
    return tuple(each for each in ids if tagOf(segmentation.GetSegment(each), _FINGERPRINT) is not None)


def isEdited(segmentationNode: slicer.vtkMRMLSegmentationNode, segmentId: str) -> bool:
    """Whether someone has changed a segment of ours since the engine made it."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    if tagOf(segment, ALGORITHM_TYPE) != AlgorithmType.AUTOMATIC.value:
        return True
    written = Fingerprint.ofText(tagOf(segment, _FINGERPRINT) or "")
    return not written.agreesWith(fingerprintOf(segmentationNode, segmentId))


def markEditedIfChanged(segmentationNode: slicer.vtkMRMLSegmentationNode) -> bool:
    """Call edited segments of ours SEMIAUTOMATIC, as DICOM asks; return whether any is edited.

    To be called when the Segment Editor is left and before export.
    """
    segmentation = segmentationNode.GetSegmentation()
    edited = [each for each in ownSegmentIds(segmentationNode) if isEdited(segmentationNode, each)]
    for segmentId in edited:
        segment = segmentation.GetSegment(segmentId)
        if tagOf(segment, ALGORITHM_TYPE) != AlgorithmType.SEMIAUTOMATIC.value:
            segment.SetTag(ALGORITHM_TYPE, AlgorithmType.SEMIAUTOMATIC.value)
    return bool(edited)


def tagOf(segment: slicer.vtkSegment, name: str) -> str | None:
    """A segment's tag, None where it has none of that name."""
    found = vtk.reference("")
    return str(found) if segment.GetTag(name, found) else None


def _toJson(content: Mapping[str, Any]) -> str:
    # "|" separates tags in .seg.nrrd; in JSON it can only stand inside a string, where an escape means the same.
    return json.dumps(dict(content), separators=(",", ":"), sort_keys=True).replace("|", "\\u007c")
