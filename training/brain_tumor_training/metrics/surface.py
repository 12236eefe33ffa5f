"""Distances between the surfaces of masks, in millimetres; meaningful only where the spacing is real."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class SurfaceDistances:
    """hd95_mm: 95th percentile of the surface distances (infinite if one mask is empty).

    nsd_2mm: share of both surfaces that lies within 2 mm of the other (Nikolov et al. 2021).
    """

    hd95_mm: float
    nsd_2mm: float


def surface_distances(
    predicted: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> SurfaceDistances:
    """Of masks bool [S, H, W] with the given distances of slices, rows and columns, by MONAI's metrics."""
    if not predicted.any() and not reference.any():
        return SurfaceDistances(0.0, 1.0)
    if not predicted.any() or not reference.any():
        return SurfaceDistances(float("inf"), 0.0)
    masks = [torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (predicted, reference)]
    hd95 = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=spacing_mm)
    nsd = compute_surface_dice(*masks, class_thresholds=[TOLERANCE_MM], include_background=True, spacing=spacing_mm)
    return SurfaceDistances(float(hd95), float(nsd))
