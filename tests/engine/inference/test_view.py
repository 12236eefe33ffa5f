"""What networks see, and the way back, against MONAI's transforms (Spacing, crop, pad and their inverses)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, ResizeWithPadOrCrop, Spacing, SpatialCrop

from BrainTumorSegLib.engine.inference.view import View
from BrainTumorSegLib.engine.study.axial import AxialOrder

SLICES = 3


def monais(shape: tuple[int, int], spacing_mm: tuple[float, float], pixel_mm: float | None, view: View) -> Compose:
    steps = [] if pixel_mm is None else [Spacing((-1, pixel_mm, pixel_mm), mode="bilinear", padding_mode="border")]
    starts = (view.rows.start, view.columns.start)
    ends = (view.rows.start + view.rows.shown, view.columns.start + view.columns.shown)
    if max(view.rows.sampled, view.columns.sampled) > 256:
        steps.append(SpatialCrop(roi_start=(0, *starts), roi_end=(SLICES, *ends)))
    return Compose([*steps, ResizeWithPadOrCrop((-1, 256, 256), value=-1)])


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "pixel_mm", "middle"),
    [
        ((240, 200), (0.9, 0.9), None, (120.0, 100.0)),
        ((301, 256), (0.8, 0.8), None, (90.0, 128.0)),
        ((512, 512), (0.45, 0.45), 0.9, (250.0, 260.0)),
        ((600, 480), (0.5, 0.5), 0.9, (420.0, 240.0)),
        ((97, 110), (1.9, 1.9), 0.9, (50.0, 50.0)),
        ((64, 301), (3.1, 0.7), 0.93, (30.0, 150.0)),
    ],
    ids=["padded", "cropped", "finer", "finer and cropped", "coarser", "oblong pixels"],
)
def test_the_view_and_the_way_back_are_what_monai_computes(
    shape: tuple[int, int], spacing_mm: tuple[float, float], pixel_mm: float | None, middle: tuple[float, float]
) -> None:
    order = AxialOrder((0, 1, 2), (False, False, False), (5.0, *spacing_mm))
    view = View.of(order, (SLICES, *shape), pixel_mm, middle)
    rng = np.random.default_rng(8)
    values = rng.normal(size=(SLICES, *shape)).astype(np.float32)
    transforms = monais(shape, spacing_mm, pixel_mm, view)
    there = transforms(MetaTensor(torch.from_numpy(values)[None], affine=np.diag([5.0, *spacing_mm, 1.0])))
    np.testing.assert_allclose(view.bring(values, -1.0), there[0].numpy(), rtol=0, atol=2e-5)

    maps = rng.uniform(size=(SLICES, 256, 256)).astype(np.float32)
    maps[1] = 0
    back = MetaTensor(torch.from_numpy(maps)[None], affine=there.affine)
    back.applied_operations = there.applied_operations
    np.testing.assert_allclose(view.restore(maps), transforms.inverse(back)[0].numpy(), rtol=0, atol=2e-5)
