"""Random changes of batches, against scipy, closed forms and their own promise to repeat themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from brain_tumor_training.fitting.augmentation import SampleChanges, change, draw_changes, no_changes
from brain_tumor_training.recipes.settings import AugmentationSettings

SIDE = 32
STRONG = AugmentationSettings(bias_share=1.0)


def disk(row: float, column: float, radius: float = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """An image [1, 2, 32, 32] of tissue with a bright disk, and the disk's mask."""
    rows, columns = np.ogrid[:SIDE, :SIDE]
    mask = torch.from_numpy(((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).astype(np.float32))
    return torch.stack([mask + 1, mask + 1])[None], mask[None, None]


def centre_of(mask: torch.Tensor) -> tuple[float, float]:
    rows, columns = mask[0, 0].nonzero(as_tuple=True)
    return float(rows.float().mean()), float(columns.float().mean())


def changes(**some: object) -> SampleChanges:
    return replace(no_changes(2), **some)  # type: ignore[arg-type]


def affine(matrix: list[list[float]], shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    return np.column_stack([np.array(matrix), shift]).astype(np.float32)


def test_no_changes_change_nothing() -> None:
    image, mask = disk(10, 20)
    changed, changed_mask = change(image, mask, [no_changes(2)], SIDE)
    torch.testing.assert_close(changed, image, rtol=0, atol=1e-5)
    assert torch.equal(changed_mask, mask)


def test_the_crop_is_the_middle() -> None:
    image, mask = disk(10, 20)
    changed, changed_mask = change(image, mask, [no_changes(2)], 16)
    torch.testing.assert_close(changed, image[..., 8:24, 8:24], rtol=0, atol=1e-5)
    assert torch.equal(changed_mask, mask[..., 8:24, 8:24])


@pytest.mark.parametrize(
    ("matrix", "shift", "expected"),
    [
        ([[-1, 0], [0, 1]], (0, 0), (10, SIDE - 1 - 20)),
        ([[1, 0], [0, 1]], (3, -2), (12, 17)),
        ([[0, -1], [1, 0]], (0, 0), (SIDE - 1 - 20, 10)),
    ],
    ids=["mirrored", "shifted", "turned by a right angle"],
)
def test_image_and_mask_move_together(
    matrix: list[list[float]], shift: tuple[float, float], expected: tuple[float, float]
) -> None:
    image, mask = disk(10, 20)
    changed, changed_mask = change(image, mask, [changes(affine=affine(matrix, shift))], SIDE)
    assert centre_of(changed_mask) == pytest.approx(expected, abs=0.1)
    torch.testing.assert_close(changed[:, :1] > 1.5, changed_mask > 0)


def test_a_zoom_scales_the_area_by_its_square() -> None:
    image, mask = disk(15.5, 15.5, radius=8)
    _, smaller = change(image, mask, [changes(affine=affine([[1.25, 0], [0, 1.25]]))], SIDE)
    assert float(smaller.sum() / mask.sum()) == pytest.approx(1 / 1.25**2, rel=0.05)


def test_gamma_and_brightness_act_on_their_channel_alone() -> None:
    image, mask = disk(10, 20)
    made = changes(gamma=np.array([2, 1], np.float32), brightness=np.array([1, 0.5], np.float32))
    changed, _ = change(image.clone(), mask, [made], SIDE)
    torch.testing.assert_close(changed[0, 0], image[0, 0] ** 2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(changed[0, 1], image[0, 1] * 0.5, rtol=1e-4, atol=1e-4)


def test_the_blur_is_scipys() -> None:
    image, mask = disk(15, 16)
    changed, _ = change(image, mask, [changes(blur_sigma=1.1)], SIDE)
    expected = ndimage.gaussian_filter(image[0, 0].numpy(), 1.1, mode="constant", radius=math.ceil(3.3))
    np.testing.assert_allclose(changed[0, 0], expected, atol=1e-4)


def test_low_resolution_keeps_the_mean_and_loses_the_edges() -> None:
    image, mask = disk(15.5, 15.5)
    changed, _ = change(image, mask, [changes(low_resolution=0.5)], SIDE)
    assert float(changed.mean()) == pytest.approx(float(image.mean()), rel=0.02)
    assert float(changed.diff(dim=-1).abs().max()) < float(image.diff(dim=-1).abs().max())


def test_noise_has_its_spread_and_repeats_itself() -> None:
    image = torch.full((2, 2, 64, 64), 2.0)
    made = changes(noise_std=0.1, noise_seed=5)
    changed, _ = change(image.clone(), image[:, :1], [made, made], 64)
    assert float((changed - 2).std()) == pytest.approx(0.1, rel=0.05)
    assert torch.equal(changed[0], changed[1])


def test_a_smooth_field_multiplies_the_image() -> None:
    image = torch.ones(1, 2, SIDE, SIDE)
    bias = np.tile(np.linspace(-0.3, 0.3, 4, dtype=np.float32), (4, 1))
    changed, _ = change(image, image[:, :1], [changes(bias=bias)], SIDE)
    assert float(changed[0, 0, 0, 0]) == pytest.approx(math.exp(-0.3), rel=1e-3)
    assert float(changed[0, 0, 0, -1]) == pytest.approx(math.exp(0.3), rel=1e-3)
    assert torch.all(changed.diff(dim=-1) > 0)


def test_a_sample_is_changed_alike_alone_and_in_a_batch() -> None:
    rng = np.random.default_rng(3)
    image, mask = torch.from_numpy(rng.random((6, 3, SIDE, SIDE), np.float32)), torch.zeros(6, 1, SIDE, SIDE)
    drawn = [draw_changes(AugmentationSettings(), 3, SIDE, np.random.default_rng(seed)) for seed in range(6)]
    together, _ = change(image.clone(), mask, drawn, 24)
    alone = torch.cat([change(image[i : i + 1].clone(), mask[i : i + 1], [drawn[i]], 24)[0] for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_every_kind_of_change_is_drawn_and_within_its_range() -> None:
    settings = AugmentationSettings()
    drawn = [draw_changes(settings, 3, 256, np.random.default_rng(seed)) for seed in range(400)]
    mirrored = np.mean([np.linalg.det(one.affine[:, :2]) < 0 for one in drawn])
    assert mirrored == pytest.approx(0.5, abs=0.1)
    gammas = np.concatenate([one.gamma for one in drawn])
    assert settings.gamma[0] <= gammas.min() < 1 < gammas.max() <= settings.gamma[1]
    assert max(abs(one.affine[:, 2]).max() for one in drawn) <= settings.translate_fraction * 256
    for kind in ("blur_sigma", "noise_std"):
        share = np.mean([getattr(one, kind) > 0 for one in drawn])
        assert 0.05 < share < 0.35
    assert 0.1 < np.mean([one.low_resolution < 1 for one in drawn]) < 0.3
    assert 0.05 < np.mean([one.bias.any() for one in drawn]) < 0.3


def test_no_change_waits_for_a_device() -> None:
    """Tensors without numbers: what asked them for one, as whoever waits for a GPU does, would raise."""
    nowhere = torch.device("meta")
    image, mask = torch.empty(8, 3, SIDE, SIDE, device=nowhere), torch.empty(8, 1, SIDE, SIDE, device=nowhere)
    # Noise comes from a generator of the device, which there is none of nowhere.
    drawn = [replace(draw_changes(STRONG, 3, SIDE, np.random.default_rng(seed)), noise_std=0.0) for seed in range(8)]
    assert any((one.gamma != 1).any() and one.bias.any() for one in drawn)
    changed, changed_mask = change(image, mask, drawn, 24)
    assert (changed.shape, changed_mask.shape) == ((8, 3, 24, 24), (8, 1, 24, 24))
    assert changed.device == changed_mask.device == nowhere
