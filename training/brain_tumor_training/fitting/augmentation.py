"""Random changes that a scanner, a patient or a site could have made, computed for whole batches on the device.

MONAI's random transforms take one sample at a time on the CPU; at the rate of a small network they cost more than the
network, and they starve a GPU. Here the numbers of each sample are drawn on the CPU, from its own seed, and the pixels
are changed where the network is: so a run repeats itself whatever the batch or the processes. Nothing here waits for a
GPU: what decides about a change is known before it is sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from brain_tumor_training.data.sending import sent
from brain_tumor_training.recipes.settings import AugmentationSettings

BRIGHTEST = 4.0
"""Of images whose background is 0: the engine's scale ends at 3 with a background of -1."""

_SHARE_GAMMA = 0.3
_SHARE_BRIGHTNESS = 0.5
_SHARE_BLUR = 0.15
_SHARE_LOW_RESOLUTION = 0.2
_SHARE_NOISE = 0.2
_BIAS_KNOTS = 4


@dataclass(frozen=True)
class SampleChanges:
    """The changes of one sample, as numbers. Those that are 1 or 0 change nothing.

    affine: float32 [2, 3], of the output's pixel offsets from its centre to the input's. gamma, brightness: float32
    [C]. bias: float32 [4, 4], logarithms on a coarse grid over the slice. blur_sigma: in pixels. low_resolution: part
    of the sampling that is kept. noise_std, noise_seed: of Gaussian noise in each channel.
    """

    affine: npt.NDArray[np.float32]
    gamma: npt.NDArray[np.float32]
    brightness: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    blur_sigma: float
    low_resolution: float
    noise_std: float
    noise_seed: int


def no_changes(channels: int) -> SampleChanges:
    """The changes that leave a sample as it is."""
    ones = np.ones(channels, np.float32)
    return SampleChanges(_affine(0, (1, 1), 0, (0, 0)), ones, ones, np.zeros((4, 4), np.float32), 0, 1, 0, 0)


def draw_changes(
    settings: AugmentationSettings, channels: int, size_px: int, rng: np.random.Generator
) -> SampleChanges:
    """Draws one sample's changes. channels: of the image. size_px: sampling of the whole slice."""
    lowest, highest = (math.log(one) for one in settings.gamma)
    return SampleChanges(
        affine=_draw_affine(settings, size_px, rng),
        gamma=_some(rng, _SHARE_GAMMA, np.exp(rng.uniform(lowest, highest, channels)), np.ones(channels)),
        brightness=_some(
            rng,
            _SHARE_BRIGHTNESS,
            1 + rng.uniform(-settings.brightness, settings.brightness, channels),
            np.ones(channels),
        ),
        bias=_some(
            rng,
            settings.bias_share,
            rng.uniform(-settings.bias_field, settings.bias_field, (_BIAS_KNOTS, _BIAS_KNOTS)),
            np.zeros((_BIAS_KNOTS, _BIAS_KNOTS)),
        ),
        blur_sigma=float(rng.uniform(*settings.blur_sigma)) if rng.random() < _SHARE_BLUR else 0.0,
        low_resolution=_draw_low_resolution(settings, rng),
        noise_std=float(rng.uniform(0, settings.noise_std)) if rng.random() < _SHARE_NOISE else 0.0,
        noise_seed=int(rng.integers(2**31)),
    )


def change(
    image: torch.Tensor, mask: torch.Tensor, changes: list[SampleChanges], crop_px: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Applies to each sample its changes and keeps the central square of ``crop_px``.

    image: float32 [B, C, H, W], background 0, tissue about 1. mask: float32 [B, 1, H, W] of 0 and 1. Changes of space
    act on both alike, changes of intensity on the image; the image stays within 0 and 4.
    Returns float32 [B, C, crop_px, crop_px] and [B, 1, crop_px, crop_px].
    """
    image, mask = _change_space(image, mask, changes, crop_px)
    image = image.clamp_(0, BRIGHTEST)
    # Powers of 1 where nothing changes would cost as much as those that change.
    bent = [index for index, one in enumerate(changes) if (one.gamma != 1).any()]
    if bent:
        which = sent(torch.tensor(bent), image.device)
        image[which] = image[which] ** _column([changes[index].gamma for index in bent], image)
    image = image * _column([one.brightness for one in changes], image)
    for index, one in enumerate(changes):
        image[index] = _change_sample(image[index], one)
    return image.clamp_(0, BRIGHTEST), mask


def _change_space(
    image: torch.Tensor, mask: torch.Tensor, changes: list[SampleChanges], crop_px: int
) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.cat([image, mask], dim=1)
    height, width = both.shape[-2:]
    # From offsets in pixels to grid_sample's units, in which the half side of input and output is 1.
    half = np.array([[width / 2], [height / 2]], np.float32)
    affine = np.stack([one.affine for one in changes]) / half
    affine[:, :, :2] *= np.float32(crop_px / 2)
    grid = functional.affine_grid(_sent(affine, both), [len(both), 1, crop_px, crop_px], align_corners=False)
    both = functional.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return both[:, :-1].contiguous(), (both[:, -1:] >= 0.5).to(mask)


def _change_sample(image: torch.Tensor, changes: SampleChanges) -> torch.Tensor:
    """The changes of one image [C, H, W] that few samples of a batch get."""
    size = image.shape[-2:]
    if changes.bias.any():
        knots = _sent(changes.bias, image)[None, None]
        image = image * functional.interpolate(knots, size=size, mode="bicubic", align_corners=True)[0].exp()
    if changes.blur_sigma > 0:
        image = _blur(image, changes.blur_sigma)
    if changes.low_resolution < 1:
        small = [max(1, round(side * changes.low_resolution)) for side in size]
        coarse = functional.interpolate(image[None], size=small, mode="nearest-exact")
        image = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)[0]
    if changes.noise_std > 0:
        source = torch.Generator(image.device).manual_seed(changes.noise_seed)
        noise = torch.randn(image.shape, generator=source, device=image.device, dtype=image.dtype)
        image = image + changes.noise_std * noise
    return image


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of [C, H, W] in its plane, row by row and column by column."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(image[:, None], kernel[None, None, :, None], padding=(radius, 0))
    return functional.conv2d(rows, kernel[None, None, None], padding=(0, radius))[:, 0]


def _draw_affine(settings: AugmentationSettings, size_px: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    mirror = -1 if rng.random() < 0.5 else 1
    rest = rng.random() >= settings.affine_probability
    angle = math.radians(rng.uniform(-settings.rotate_deg, settings.rotate_deg))
    zoom = 1 + rng.uniform(-settings.scale, settings.scale) + rng.uniform(-0.05, 0.05, 2)
    shear = rng.uniform(-settings.shear, settings.shear)
    shift = rng.uniform(-1, 1, 2) * settings.translate_fraction * size_px
    if rest:
        return _affine(0, (mirror, 1), 0, (0, 0))
    return _affine(angle, (mirror * zoom[0], zoom[1]), shear, (shift[0], shift[1]))


def _affine(
    angle: float, zoom: tuple[float, float], shear: float, shift: tuple[float, float]
) -> npt.NDArray[np.float32]:
    """float32 [2, 3] that maps output offsets (x, y) to input offsets: rotated, sheared, stretched, shifted (px)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[1, shear], [0, 1]]) @ np.diag(zoom)
    return np.column_stack([matrix, shift]).astype(np.float32)


def _draw_low_resolution(settings: AugmentationSettings, rng: np.random.Generator) -> float:
    return float(rng.uniform(*settings.low_resolution_zoom)) if rng.random() < _SHARE_LOW_RESOLUTION else 1.0


def _some(
    rng: np.random.Generator, share: float, changed: npt.NDArray[np.float64], same: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    return (changed if rng.random() < share else same).astype(np.float32)


def _column(values: list[npt.NDArray[np.float32]], image: torch.Tensor) -> torch.Tensor:
    """[B, C, 1, 1] of one number for each sample and channel."""
    return _sent(np.stack(values), image)[:, :, None, None]


def _sent(numbers: npt.NDArray[np.float32], image: torch.Tensor) -> torch.Tensor:
    return sent(torch.from_numpy(numbers), image.device)
