"""What a segmentation run gives back, independent of how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from BrainTumorSegLib.engine.measurement.review_order import ReviewNeed
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.settings import UsedSettings
from BrainTumorSegLib.engine.study.geometry import Geometry
from BrainTumorSegLib.engine.study.study import Study


@dataclass(frozen=True)
class SliceScore:
    """One axial slice, inferior first: where it lies and what was found.

    position_mm: its centre along the patient's superior axis (RAS z; larger is higher). tumour_probability: the
    slice classifier's, 0-1, see slice_scores (the segmentation's maximum where no classifier ran). segmented: whether
    the gate let it through. area_mm2: mask area. mean_uncertainty: mean binary entropy (bits, 0-1) of the voxels with
    probability over 0.05; 0 where there are none. doubtful_area_mm2: area in and near the mask that the
    probability itself expects to be wrong, see ``SliceMeasure``. reaches_edge: the mask touches the border here.
    """

    index: int
    position_mm: float
    tumour_probability: float
    segmented: bool
    area_mm2: float
    mean_uncertainty: float
    doubtful_area_mm2: float
    reaches_edge: bool


@dataclass(frozen=True)
class Lesion:
    """One connected piece of the mask (26-neighbourhood), largest first, ids from 1.

    longest_diameter_mm: largest distance of two of its voxel centres in 3D. axial_diameters_mm: the longest in-slice
    diameter in the axial slice where that is greatest, and the longest one perpendicular to it there (both in-slice).
    slices: first and last axial slice index, inclusive, inferior first.
    """

    id: int
    volume_ml: float
    longest_diameter_mm: float
    axial_diameters_mm: tuple[float, float]
    centroid_ras: tuple[float, float, float]
    slices: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """Mask and probability on FLAIR's own grid, with everything needed to trace and review them.

    mask: bool [K, J, I]. probability: float32 [K, J, I], 0-1, 0 outside the network's view and in slices that the
    gate left out. settings: those really used. device: "cpu", "cuda:0", ... ; precision:
    "float32", "bfloat16", "float16". timings_s: seconds by stage. warnings: the study's, then the pipeline's. review:
    every slice in the order in which it needs a look.
    """

    study: Study
    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    slices: tuple[SliceScore, ...]
    lesions: tuple[Lesion, ...]
    segmentation_model: ModelProvenance
    classifier_model: ModelProvenance | None
    settings: UsedSettings
    device: str
    precision: str
    timings_s: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    review: tuple[ReviewNeed, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """FLAIR's own grid."""
        return self.study.geometry

    @property
    def volume_ml(self) -> float:
        """Volume of the whole mask in millilitres."""
        return np.count_nonzero(self.mask) * self.geometry.voxel_volume_ml


def summarise(result: Result) -> str:
    """A result in one sentence, see ``summary_of``."""
    return summary_of(result.lesions, result.volume_ml, len(result.slices))


def summary_of(found: Sequence[Lesion], volume_ml: float, count: int) -> str:
    """For instance "Tumour found: 2 lesions, 42.3 mL in all, in slices 11 to 22 of 36."

    count: how many slices there are. They are axial and count from 1, the lowest.
    """
    if not found:
        return f"No tumour found in {count} slices; the segmentation is empty."
    first = min(lesion.slices[0] for lesion in found) + 1
    last = max(lesion.slices[1] for lesion in found) + 1
    lesions = "1 lesion" if len(found) == 1 else f"{len(found)} lesions"
    place = f"in slice {first}" if first == last else f"in slices {first} to {last}"
    return f"Tumour found: {lesions}, {volume_ml:.1f} mL in all, {place} of {count}."
