"""Random changes that a scanner, a patient or a site could have made, by MONAI's transforms."""

from __future__ import annotations

import math

from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandSimulateLowResolutiond,
)

from brain_tumor_training.settings import AugmentationSettings


def build_augmentation(settings: AugmentationSettings, size_px: int) -> Compose:
    """A transform of {"image": float32 [C, size, size], "mask": float32 [1, size, size]}; seed it by set_random_state.

    Image values have background 0 and tissue about 1. Space changes act on both alike, intensity changes on the image.
    """
    both = ("image", "mask")
    translate = settings.translate_fraction * size_px
    return Compose(
        [
            RandAffined(
                both,
                prob=settings.affine_probability,
                rotate_range=math.radians(settings.rotate_deg),
                scale_range=settings.scale,
                shear_range=settings.shear,
                translate_range=translate,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandAdjustContrastd("image", prob=0.3, gamma=settings.gamma),
            RandScaleIntensityd("image", prob=0.5, factors=settings.brightness, channel_wise=True),
            RandBiasFieldd("image", prob=0.15, coeff_range=(0.0, settings.bias_field)),
            RandGaussianSmoothd("image", prob=0.15, sigma_x=settings.blur_sigma, sigma_y=settings.blur_sigma),
            RandSimulateLowResolutiond(
                "image", prob=0.2, upsample_mode="bilinear", zoom_range=settings.low_resolution_zoom
            ),
            RandGaussianNoised("image", prob=0.2, std=settings.noise_std),
        ]
    )
