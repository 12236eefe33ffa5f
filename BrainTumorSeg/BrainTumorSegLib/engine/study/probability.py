"""A run's probability volume, read again for what is computed of it later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.lattice import place_on


def read_probability(path: Path, geometry: Geometry) -> npt.NDArray[np.float32]:
    """float32 [K, J, I] on ``geometry``, FLAIR's grid, as the file holds it.

    Raises InputError for a file that can't be read or holds other values than 0 to 1, GeometryError for one on other
    voxels.
    """
    try:
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    except RuntimeError as error:
        raise InputError(f"The probability volume {path} can't be read.", "Segment the study again.") from error
    values = place_on(Volume.of_image(image), geometry).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # a NaN makes both a NaN
        raise InputError(
            f"{path} is no probability volume: its values go from {low:g} to {high:g}, not from 0 to 1.",
            "Give the file that was written as the probability, or segment the study again.",
        )
    return values
