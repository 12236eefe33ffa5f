"""The LGG MRI segmentation set of Buda et al. (2019) in the layout that Kaggle serves, and its patient folds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from BrainTumorSegLib.engine.errors import InputError

SEQUENCES = ("t1", "flair", "t1c")
"""Channel order of the TIFF files: pre-contrast, FLAIR, post-contrast."""

_SLICE = re.compile(r"(?P<patient>.+)_(?P<number>\d+)\.tif$")


@dataclass(frozen=True)
class Patient:
    """One patient's stack: sequences uint8 [3, S, H, W] in the order of SEQUENCES, mask bool [S, H, W].

    Slices run inferior to superior; row 0 is anterior, column 0 the patient's right. No spacing is stored.
    """

    name: str
    sequences: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]


def patient_folders(root: Path) -> list[Path]:
    """The patients' folders under ``root/kaggle_3m`` or ``root``, sorted by name.

    Only this one level is read: Kaggle's archive holds the data a second time in a subfolder, which a recursive
    search would count as well. Raises InputError if there are none.
    """
    base = root / "kaggle_3m" if (root / "kaggle_3m").is_dir() else root
    folders = sorted(folder for folder in base.glob("TCGA_*") if folder.is_dir())
    if not folders:
        raise InputError(
            f"No patient folders (TCGA_...) were found in {base}.",
            "Give the folder that holds Kaggle's kaggle_3m (mateuszbuda/lgg-mri-segmentation).",
        )
    return folders


def read_patient(folder: Path) -> Patient:
    """Reads one patient's slices in numerical order. Raises InputError for gaps or missing masks."""
    numbers = sorted(int(m["number"]) for path in folder.glob("*.tif") if (m := _SLICE.match(path.name)))
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise InputError(
            f"The slices of {folder.name} are not numbered 1 to {len(numbers)} without gaps.",
            "Unpack the data set again.",
        )
    images = [np.asarray(Image.open(folder / f"{folder.name}_{n}.tif")) for n in numbers]
    masks = [np.asarray(Image.open(folder / f"{folder.name}_{n}_mask.tif")) for n in numbers]
    return Patient(folder.name, np.moveaxis(np.stack(images), -1, 0), np.stack(masks) > 0)
