"""Grids of every kind of acquisition, shapes with known measures on them, and results made of these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.measurement.lesions import find_lesions, slice_measures
from BrainTumorSegLib.engine.measurement.measure import slice_scores
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.measurement.review_order import review_order
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Source, Study

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)


def tilted(direction: tuple[float, ...], *degrees: float) -> tuple[float, ...]:
    """The direction cosines after rotations about x, y and z."""
    rotation = np.reshape(sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians(degrees).tolist()).GetMatrix(), (3, 3))
    return tuple((rotation @ np.reshape(direction, (3, 3))).ravel().tolist())


def grid(
    direction: tuple[float, ...], size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> Geometry:
    """A grid whose centre lies at LPS (7, -11, 23) mm."""
    half = (np.array(size_ijk) - 1) / 2 * spacing_mm
    origin = np.array([7.0, -11.0, 23.0]) - np.reshape(direction, (3, 3)) @ half
    return Geometry(size_ijk, spacing_mm, tuple(origin.tolist()), direction)


GRIDS = {
    "axial": grid(AXIAL, (40, 44, 18), (1.0, 1.0, 2.5)),
    "axial, flipped": grid(FLIPPED, (40, 44, 18), (1.1, 0.9, 2.5)),
    "sagittal": grid(SAGITTAL, (44, 42, 20), (1.0, 1.0, 2.0)),
    "coronal": grid(CORONAL, (40, 42, 20), (1.0, 1.2, 2.0)),
    "oblique": grid(tilted(AXIAL, -15.0, 6.0, 10.0), (40, 44, 18), (1.0, 1.0, 2.5)),
    "oblique sagittal": grid(tilted(SAGITTAL, 8.0, -12.0, 9.0), (44, 42, 20), (1.0, 1.0, 2.0)),
}


def points_lps(geometry: Geometry) -> npt.NDArray[np.float64]:
    """Position of every voxel, float64 [K, J, I, 3], by ITK's own arithmetic written out."""
    k, j, i = np.indices(geometry.shape_kji)
    steps = np.stack([i, j, k], axis=-1) * geometry.spacing_mm
    points: npt.NDArray[np.float64] = steps @ np.reshape(geometry.direction_lps, (3, 3)).T + geometry.origin_lps
    return points


def ellipsoid(
    geometry: Geometry, centre_lps: tuple[float, float, float], radii_mm: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    """Voxels whose centre lies in an ellipsoid with axes along the patient's, bool [K, J, I]."""
    scaled = (points_lps(geometry) - centre_lps) / radii_mm
    inside: npt.NDArray[np.bool_] = (scaled**2).sum(axis=-1) <= 1
    return inside


def phantom_result(
    geometry: Geometry,
    mask: npt.NDArray[np.bool_],
    flair: npt.NDArray[np.float32] | None = None,
    flair_path: str = "/data/flair.nii.gz",
    classifier: bool = True,
) -> Result:
    """A result whose mask is given; its probability is 0.9 in the mask, 0.02 elsewhere, FLAIR a bright ball."""
    probability = np.where(mask, np.float32(0.9), np.float32(0.02))
    highest = AxialOrder.of(geometry).to_axial(probability).max(axis=(1, 2))
    scores = slice_scores(slice_measures(mask, probability, geometry), highest, highest > 0.1)
    if flair is None:
        flair = np.where(ellipsoid(geometry, (7.0, -11.0, 23.0), (15.0, 18.0, 20.0)), 400, 5).astype(np.float32)
    sources = {"flair": Source(Path(flair_path), "1.2.840.1"), "t1": Source(Path("/data/t1.nii.gz"))}
    return Result(
        study=Study(flair, geometry, sources=sources, warnings=("T1c is missing.",)),
        mask=mask,
        probability=probability,
        slices=scores,
        review=review_order(scores),
        lesions=find_lesions(mask, geometry),
        segmentation_model=ModelProvenance("lgg-resunet", "1.0.0", "ab" * 32, "CC-BY-NC-SA-4.0"),
        classifier_model=ModelProvenance("lgg-slices", "1.2.0", "cd" * 32, "CC-BY-NC-SA-4.0") if classifier else None,
        settings=UsedSettings(threshold=0.5, gate=0.1, min_volume_ml=0.05, tta=False),
        device="cpu",
        precision="float32",
        timings_s={"read": 0.123456, "segment": 1.5},
        warnings=("T1c is missing.",),
    )
