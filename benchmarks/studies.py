"""The synthetic head of ``braintumorseg sample``, all sequences on one grid of any number of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.sample.study import write_sample


def sample_of_size(folder: Path, size_ijk: tuple[int, ...], names: Sequence[str]) -> dict[str, Path]:
    """Writes ``names`` (flair, t1, t1c, reference) as NAME.nii.gz, int16, over FLAIR's field of view."""
    sample = write_sample(folder / "sample")
    view = sitk.ReadImage(str(sample.flair))
    spacing = np.array(view.GetSpacing()) * view.GetSize() / np.array(size_ijk)
    origin = view.TransformContinuousIndexToPhysicalPoint((0.5 * spacing / np.array(view.GetSpacing()) - 0.5).tolist())
    grid = (size_ijk, sitk.Transform(), sitk.sitkLinear, origin, spacing.tolist(), view.GetDirection(), 0.0)
    paths = {name: folder / f"{name}.nii.gz" for name in names}
    for name, path in paths.items():
        fine = sitk.Resample(sitk.ReadImage(str(getattr(sample, name))), *grid)
        sitk.WriteImage(sitk.Cast(fine, sitk.sitkInt16), str(path))
    return paths
