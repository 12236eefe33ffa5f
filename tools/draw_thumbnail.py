"""Draw the picture that Slicer's Sample Data module shows for the sample study: its FLAIR, through the tumour.

python tools/draw_thumbnail.py      writes BrainTumorSeg/Resources/Icons/BrainTumorSegSample.png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

RESOURCES = Path(__file__).resolve().parents[1] / "BrainTumorSeg" / "Resources"
FLAIR = RESOURCES / "SampleStudy" / "BrainTumorSegSample_flair.nii.gz"
TARGET = RESOURCES / "Icons" / "BrainTumorSegSample.png"
SLICE = 16
BRIGHTEST = 700
"""Grey value that is drawn white: above tumour, below fat."""
SIZE_PX = (160, 192)


def draw_thumbnail() -> Image.Image:
    """One axial slice as Slicer shows it: anterior above, the patient's right on the left."""
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(FLAIR)))[SLICE]
    grey = np.clip(voxels / BRIGHTEST * 255, 0, 255).astype(np.uint8)
    head = np.argwhere(grey > 25)
    (top, left), (bottom, right) = head.min(axis=0), head.max(axis=0)
    return Image.fromarray(grey[top : bottom + 1, left : right + 1]).resize(SIZE_PX, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    draw_thumbnail().save(TARGET, optimize=True)
