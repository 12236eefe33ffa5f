"""The mask as a DICOM segmentation in the study and frame of reference of the images it was made on.

Written by highdicom, which is imported only here and only when one is asked for. DICOM PS3.3 A.51, "Segmentation IOD".
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.output.seg_nrrd import SEGMENT_NAME, TUMOUR_COLOUR
from BrainTumorSegLib.engine.study.geometry import Volume
from BrainTumorSegLib.engine.study.lattice import place_on

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

    from BrainTumorSegLib.engine.study.source_series import SourceSeries

_MAKER = "BrainTumorSeg"
# DICOM's limit less the caret.
_LONGEST_NAME = 63
# Of type 2 in DICOM: they have to be there, and may be empty. De-identified series often lack them.
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
# The segmentation's own number in its study, after every number that a scanner gives.
_FIRST_SERIES_NUMBER = 9000


def save_dicom_seg(
    mask: Volume, series: SourceSeries, report: Mapping[str, Any], path: Path, corrected_by: str | None = None
) -> None:
    """Write a mask as a binary DICOM segmentation with one segment; an empty mask gives one with empty frames.

    mask: bool, on the series' own voxels (see ``place_on``). report: as ``build_report`` gives it; the models and
    settings in it are named. corrected_by: who edited the mask since, "" for somebody without a name; either makes it
    SEMIAUTOMATIC. None, for nobody, is AUTOMATIC.
    Raises GeometryError for another grid, InputError for a name that DICOM can't hold.
    """
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian

    voxels = place_on(mask, series.geometry)
    sources = [_with_empty_attributes(image) for image in series.images]
    # highdicom warns of names that lack a part, and repeats the patient's name in it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        segmentation = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=np.ascontiguousarray(voxels[list(series.slice_of_frame)]).astype(np.uint8),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(report, corrected_by)],
            series_instance_uid=highdicom.UID(),
            series_number=_FIRST_SERIES_NUMBER + min(int(sources[0].get("SeriesNumber") or 0), 999),
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name=_model(report, "segmentation"),
            software_versions=report["software"]["braintumorseg"],
            device_serial_number=report["models"]["segmentation"]["sha256"],
            content_label="TUMOUR",
            content_description="Tumour outlined for research; not a medical device",
            content_creator_name=_person_name(corrected_by) if corrected_by else None,
            series_description="Tumour (BrainTumorSeg)",
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
    # highdicom takes it as an argument from 0.28 on; Slicer 5.12 brings 0.27.
    segmentation.SpecificCharacterSet = "ISO_IR 192"
    segmentation.save_as(path)


def checked_name(name: str) -> str:
    """A person's name as DICOM holds it, trimmed; "" is nobody's. Raises InputError for a long or multi-line one."""
    name = name.strip()
    if len(name) > _LONGEST_NAME or "\\" in name or not name.isprintable():
        raise InputError(
            f"The name {name!r} of whoever corrected the segmentation can't be written.",
            f"Give a name of at most {_LONGEST_NAME} letters on one line, without backslashes.",
        )
    return name


def _person_name(name: str) -> str:
    """A name that was not split into its parts: DICOM marks it by a final caret."""
    checked = checked_name(name)
    return checked if "^" in checked else f"{checked}^"


def _with_empty_attributes(image: Dataset) -> Dataset:
    """The image with every attribute that has to be there."""
    for keyword in _MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
    return image


def _description(report: Mapping[str, Any], corrected_by: str | None) -> SegmentDescription:
    import highdicom
    from pydicom.sr.codedict import codes

    red, green, blue = (round(255 * part) for part in TUMOUR_COLOUR)
    kinds = highdicom.seg.SegmentAlgorithmTypeValues
    return highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=SEGMENT_NAME,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        anatomic_regions=[codes.SCT.Brain],
        algorithm_type=kinds.AUTOMATIC if corrected_by is None else kinds.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=f"{_MAKER} {report['models']['segmentation']['name']}",
            family=codes.DCM.ArtificialIntelligence,
            version=f"{report['software']['braintumorseg']}, model {report['models']['segmentation']['version']}",
            source=_MAKER,
            parameters=_parameters(report),
        ),
        tracking_id=SEGMENT_NAME,
        tracking_uid=highdicom.UID(),
        display_color=highdicom.color.CIELabColor.from_rgb(red, green, blue),
    )


def _parameters(report: Mapping[str, Any]) -> dict[str, str]:
    """Weights by name and SHA-256, and the settings used."""
    parameters = {}
    for role, model in report["models"].items():
        if model is not None:
            parameters[role] = f"{model['name']} {model['version']}"
            parameters[f"{role}_sha256"] = model["sha256"]
    return parameters | {name: str(value) for name, value in report["settings"].items()}


def _model(report: Mapping[str, Any], role: str) -> str:
    return f"{report['models'][role]['name']} {report['models'][role]['version']}"
