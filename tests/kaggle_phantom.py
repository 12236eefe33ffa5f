"""A tiny data set in Kaggle's layout: round heads, each with a bright ball on FLAIR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_patient(root: Path, name: str, slices: int = 6, size_px: int = 128, ball_px: float = 12.0) -> Path:
    """One patient with a ball of 180 on a head of 100, in the middle slices; returns its folder."""
    folder = root / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(sum(name.encode()))
    z, y, x = np.mgrid[:slices, :size_px, :size_px]
    centre = size_px / 2
    head = (x - centre) ** 2 + (y - centre) ** 2 < (0.42 * size_px) ** 2
    row, column = centre + rng.uniform(-0.1, 0.1, 2) * size_px
    ball = ((z - slices / 2) * ball_px / 1.6) ** 2 + (y - row) ** 2 + (x - column) ** 2 < ball_px**2
    flair = np.where(head, 100, 0) + np.where(ball, 80, 0)
    t1 = np.where(head, 110, 0) - np.where(ball, 30, 0)
    noise = rng.integers(0, 6, (3, *flair.shape))
    stack = (np.stack([t1, flair, t1 + 5 * ball]) + noise * head).astype(np.uint8)
    for index in range(slices):
        Image.fromarray(np.moveaxis(stack[:, index], 0, -1)).save(folder / f"{name}_{index + 1}.tif")
        Image.fromarray((255 * ball[index]).astype(np.uint8)).save(folder / f"{name}_{index + 1}_mask.tif")
    return folder


def write_data_set(root: Path, patients: int = 4, **settings: object) -> list[str]:
    """Writes ``root/kaggle_3m`` with that many patients and returns their names."""
    names = [f"TCGA_CS_000{number}_2000010{number}" for number in range(1, patients + 1)]
    for name in names:
        write_patient(root / "kaggle_3m", name, **settings)
    return names
