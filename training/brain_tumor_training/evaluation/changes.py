"""Studies as other scanners, protocols and pipelines would have given them, to measure how robust a model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import SimpleITK as sitk

from brain_tumor_training.data.brain_mask import rough_brain_mask
from BrainTumorSegLib.engine.inference.normalisation import normalise_sequence

_EROSION_PX = 7


@dataclass(frozen=True)
class StudyImages:
    """A study in memory: sequences by name ("flair", and "t1", "t1c" if there are), and the reference, uint8 0, 1."""

    sequences: Mapping[str, sitk.Image]
    reference: sitk.Image


Change = Callable[[StudyImages], StudyImages]


def without(images: StudyImages, names: tuple[str, ...]) -> StudyImages:
    """Some sequences were not acquired."""
    return StudyImages({n: image for n, image in images.sequences.items() if n not in names}, images.reference)


def brighter(images: StudyImages, factor: float) -> StudyImages:
    """Another gain: every sequence times a factor, as float32."""
    scaled = {name: sitk.Cast(image, sitk.sitkFloat32) * factor for name, image in images.sequences.items()}
    return StudyImages(scaled, images.reference)


def bent(images: StudyImages, gamma: float) -> StudyImages:
    """Another contrast: each sequence's values, as parts of its range, to the power of gamma (below 1: flatter)."""
    return StudyImages({name: _bend(image, gamma) for name, image in images.sequences.items()}, images.reference)


def resampled(images: StudyImages, in_plane_mm: float | None = None, slices_mm: float | None = None) -> StudyImages:
    """Another sampling by linear interpolation; the reference is where the interpolated one is over a half.

    in_plane_mm: of columns and rows; slices_mm: from slice to slice; None leaves it as it is.
    """
    columns_mm, rows_mm, between_mm = images.reference.GetSpacing()
    spacing_mm = (in_plane_mm or columns_mm, in_plane_mm or rows_mm, slices_mm or between_mm)
    sequences = {name: _to_spacing(image, spacing_mm) for name, image in images.sequences.items()}
    return StudyImages(sequences, sitk.Cast(_to_spacing(images.reference, spacing_mm) >= 0.5, sitk.sitkUInt8))


def reoriented(images: StudyImages, code: str) -> StudyImages:
    """The same voxels in another order, as a stack of another orientation stores them (DICOM code, such as PIR)."""
    turned = {name: sitk.DICOMOrient(image, code) for name, image in images.sequences.items()}
    return StudyImages(turned, sitk.DICOMOrient(images.reference, code))


def brain_masked(images: StudyImages) -> StudyImages:
    """Everything outside a rough brain mask is zero, as after skull stripping; the tumour stays in."""
    flair = normalise_sequence(sitk.GetArrayFromImage(images.sequences["flair"]))
    mask = rough_brain_mask(flair, sitk.GetArrayFromImage(images.reference) > 0, _EROSION_PX)
    stencil = sitk.GetImageFromArray(mask.astype(np.uint8))
    stencil.CopyInformation(images.reference)
    return StudyImages({name: sitk.Mask(one, stencil) for name, one in images.sequences.items()}, images.reference)


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "without-t1": partial(without, names=("t1",)),
        "without-t1c": partial(without, names=("t1c",)),
        "flair-only": partial(without, names=("t1", "t1c")),
        "brightness-0.3": partial(brighter, factor=0.3),
        "brightness-3": partial(brighter, factor=3.0),
        "contrast-0.7": partial(bent, gamma=0.7),
        "contrast-1.4": partial(bent, gamma=1.4),
        "in-plane-0.7mm": partial(resampled, in_plane_mm=0.7),
        "in-plane-1.2mm": partial(resampled, in_plane_mm=1.2),
        "slices-6mm": partial(resampled, slices_mm=6.0),
        "isotropic-1mm": partial(resampled, in_plane_mm=1.0, slices_mm=1.0),
        "sagittal": partial(reoriented, code="PIR"),
        "brain-masked": brain_masked,
    }
)


def _bend(image: sitk.Image, gamma: float) -> sitk.Image:
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    low, span = array.min(), np.ptp(array)
    changed = sitk.GetImageFromArray(low + span * ((array - low) / span) ** gamma)
    changed.CopyInformation(image)
    return changed


def _to_spacing(image: sitk.Image, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    size = [round(n * old / new) for n, old, new in zip(image.GetSize(), image.GetSpacing(), spacing_mm, strict=True)]
    return sitk.Resample(
        sitk.Cast(image, sitk.sitkFloat32),
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        spacing_mm,
        image.GetDirection(),
        0.0,
    )
