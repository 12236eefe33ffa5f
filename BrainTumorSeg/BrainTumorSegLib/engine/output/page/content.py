"""What stands on the page, before anything is laid out: the same for HTML and PDF.

Nothing in it tells who the patient is: no name, no path, no UID.
"""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.measurement.result import SliceScore
from BrainTumorSegLib.engine.measurement.review_order import SHARE_TO_REVIEW, Reason
from BrainTumorSegLib.engine.output.dicom_seg import checked_name
from BrainTumorSegLib.engine.output.preview.picture import slice_grid
from BrainTumorSegLib.engine.output.preview.slices import slice_stack
from BrainTumorSegLib.engine.study.geometry import Volume

MOST_LESIONS = 8
MOST_TO_REVIEW = 6
MOST_WARNINGS = 6
_SLICES_PX = 1320
_COLUMNS = 6
# Room that a 3D picture takes beside the slices.
_COLUMNS_BESIDE_3D = 4
_LARGEST_3D_PX = 900

DISCLAIMER = (
    "Not a diagnosis. Not a medical device. Made by an automatic method for research; a qualified person must check it "
    "slice by slice before any use."
)


@dataclass(frozen=True)
class PageRequest:
    """What the page is made of.

    report: as ``build_report`` gives it, measured on ``mask``. flair: the volume behind the outlines. mask: bool
    [K, J, I] on its grid. corrected_by: who edited the mask since, "" for somebody without a name; None for nobody.
    picture_3d: a PNG of the tumour in 3D, as 3D Slicer saves one. reviewed: how many slices someone has ticked off,
    None where nobody kept count.
    """

    report: Mapping[str, Any]
    flair: Volume
    mask: npt.NDArray[np.bool_]
    corrected_by: str | None = None
    picture_3d: Path | None = None
    reviewed: int | None = None
    made_on: datetime.date = field(default_factory=datetime.date.today)


@dataclass(frozen=True)
class PageContent:
    """Texts and pictures of the page.

    figures: large numbers with what they are. slices_png, picture_3d_png: PNG files. slices, gate: for the strip of all
    slices. lesions: rows of texts under LESION_HEADS; more_lesions: how many there is no room for. to_review: slice
    number (from 1) and why. made_by: label and text.
    """

    summary: str
    figures: tuple[tuple[str, str], ...]
    slices_png: bytes
    picture_3d_png: bytes | None
    slices: tuple[SliceScore, ...]
    gate: float
    lesions: tuple[tuple[str, ...], ...]
    more_lesions: int
    to_review: tuple[tuple[int, str], ...]
    review_words: str
    made_by: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    corrected_by: str | None
    footer: str

    @property
    def marked(self) -> tuple[int, ...]:
        """The slices to review, from 0."""
        return tuple(number - 1 for number, _ in self.to_review)


LESION_HEADS = ("No.", "Volume, mL", "Longest in 3D, mm", "In one slice, mm", "Slices")


def page_content(request: PageRequest) -> PageContent:
    """Everything that the page says. Raises InputError for a 3D picture or a name that can't be used."""
    report = request.report
    corrected_by = None if request.corrected_by is None else checked_name(request.corrected_by)
    slices = tuple(SliceScore(**each) for each in report["slices"])
    lesions = [_lesion(each) for each in report["lesions"]]
    warnings = list(report["warnings"])
    if len(warnings) > MOST_WARNINGS:
        left_out = len(warnings) - MOST_WARNINGS + 1
        warnings = [*warnings[: MOST_WARNINGS - 1], f"And {left_out} more, which are in the report file."]
    picture_3d = None if request.picture_3d is None else _png_of(request.picture_3d)
    columns = _COLUMNS if picture_3d is None else _COLUMNS_BESIDE_3D
    stack = slice_stack(request.flair, request.mask, slices)
    return PageContent(
        summary=report["summary"],
        figures=_figures(report),
        slices_png=_as_png(slice_grid(stack, _SLICES_PX * columns // _COLUMNS, columns)),
        picture_3d_png=picture_3d,
        slices=slices,
        gate=float(report["settings"]["gate"]),
        lesions=tuple(lesions[:MOST_LESIONS]),
        more_lesions=max(0, len(lesions) - MOST_LESIONS),
        to_review=_to_review(report),
        review_words=_review_words(corrected_by, request.reviewed, len(slices)),
        made_by=_made_by(report),
        warnings=tuple(warnings),
        corrected_by=corrected_by,
        footer=f"BrainTumorSeg {report['software']['braintumorseg']}  ·  {request.made_on.isoformat()}  ·  "
        "axial slices seen from below, R: patient's right",
    )


def _figures(report: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    lesions = report["lesions"]
    if not lesions:
        return (("Volume", "0 mL"), ("Lesions", "0"))
    longest, across = lesions[0]["axial_diameters_mm"]
    return (
        ("Volume", f"{report['volume_ml']:.1f} mL"),
        ("Lesions" if len(lesions) > 1 else "Lesion", str(len(lesions))),
        ("Largest, in one axial slice", f"{longest:.0f} × {across:.0f} mm"),
        ("Largest, longest diameter", f"{lesions[0]['longest_diameter_mm']:.0f} mm"),
    )


def _lesion(lesion: Mapping[str, Any]) -> tuple[str, ...]:
    first, last = (index + 1 for index in lesion["slices"])
    longest, across = lesion["axial_diameters_mm"]
    return (
        str(lesion["id"]),
        f"{lesion['volume_ml']:.2f}",
        f"{lesion['longest_diameter_mm']:.0f}",
        f"{longest:.0f} × {across:.0f}",
        f"{first}" if first == last else f"{first}–{last}",
    )


def _to_review(report: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    most = math.ceil(SHARE_TO_REVIEW * len(report["review"]))
    needs = [need for need in report["review"][:most] if need["reason"] != Reason.CLEAR]
    return tuple((need["index"] + 1, need["sentence"]) for need in needs[:MOST_TO_REVIEW])


def _review_words(corrected_by: str | None, reviewed: int | None, slices: int) -> str:
    if corrected_by is None:
        by = "No one has corrected this outline."
    else:
        by = f"Corrected by {corrected_by or 'somebody who gave no name'}."
    return by if reviewed is None else f"{by} {reviewed} of {slices} slices reviewed."


def _made_by(report: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    models, settings = report["models"], report["settings"]
    rows = [("Model", _model(models["segmentation"]))]
    if models["classifier"] is not None:
        rows.append(("Slice classifier", _model(models["classifier"])))
    words = [f"threshold {settings['threshold']:g}"]
    words.append(f"slices below {settings['gate']:g} left out" if settings["gate"] > 0 else "every slice segmented")
    words.append(f"lesions from {settings['min_volume_ml']:g} mL")
    words.append("averaged with the mirrored study" if settings["tta"] else "without the mirrored study")
    rows.append(("Settings", ", ".join(words)))
    rows.append(("Computed", f"on {report['device']} in {report['precision']}"))
    return tuple(rows)


def _model(model: Mapping[str, str]) -> str:
    return f"{model['name']} {model['version']}, SHA-256 {model['sha256']}, {model['licence']}"


def _png_of(path: Path) -> bytes:
    """The picture, no larger than the page needs. Raises InputError where it is none."""
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise InputError(
            f"The 3D picture {path} can't be read.", "Give a PNG file, or leave the picture out."
        ) from error
    picture.thumbnail((_LARGEST_3D_PX, _LARGEST_3D_PX))
    return _as_png(picture)


def _as_png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()
