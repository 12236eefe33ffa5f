"""Labelmap files: where something is marked, whoever drew it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume

_EDITED_TAG = "DICOM.SegmentAlgorithmType:SEMIAUTOMATIC"
# With no more values than these, labels in single voxels are believed; an MR image has hundreds and more.
_MOST_LABELS_OF_NOISE = 100


def read_labelmap(path: Path) -> Volume:
    """The voxels that any label or segment of a file marks, bool [K, J, I], on the file's own grid.

    Files: .seg.nrrd of 3D Slicer with any number of segments, or any volume of whole numbers; 0 is unmarked. Raises
    InputError for a file that is missing, can't be read, is not three-dimensional, holds fractions or is an image.
    """
    image, labels = _read(path)
    return Volume((labels.reshape(*labels.shape[:3], -1) != 0).any(axis=-1), Geometry.of_image(image))


def read_labels(path: Path) -> Volume:
    """The labels themselves, int16 [K, J, I], of a file with one label a voxel. Raises InputError as above."""
    image, labels = _read(path)
    if labels.ndim > 3:
        raise InputError(f"The labelmap {path} has segments that overlap.", "Save them as one labelmap.")
    return Volume(labels.astype(np.int16), Geometry.of_image(image))


def says_edited(path: Path) -> bool:
    """Whether the file itself, a .seg.nrrd, says that someone edited a segment of it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    tags = (reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if key.endswith("_Tags"))
    return any(_EDITED_TAG in text for text in tags)


def _read(path: Path) -> tuple[sitk.Image, np.ndarray]:
    if path.is_dir():
        raise InputError(f"The labelmap {path} is a folder.", "Give the file in it.")
    if not path.is_file():
        raise InputError(f"The labelmap {path} does not exist.", "Check the path.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"The labelmap {path} can't be read.", "Save it again as .seg.nrrd, NRRD or NIfTI.") from error
    array = sitk.GetArrayViewFromImage(image)
    if image.GetDimension() != 3 or not np.array_equal(array, np.rint(array)):
        raise InputError(
            f"{path} is no labelmap: it has {image.GetDimension()} dimensions or fractions.",
            "Give the segmentation, not a probability or an image.",
        )
    if _is_grey(array):
        raise InputError(f"{path} is no labelmap: it has the grey values of an image.", "Give the segmentation.")
    return image, array


def _is_grey(array: np.ndarray) -> bool:
    """Whether whole numbers [K, J, I, ...] are an image's: so many, and most marked neighbours in a row differ.

    Parcellations have many labels too, but each fills a region.
    """
    left, right = array[:, :, :-1], array[:, :, 1:]
    pairs = (left != 0) & (right != 0)
    if 2 * np.count_nonzero(pairs & (left != right)) <= np.count_nonzero(pairs):
        return False
    return len(np.unique(array)) > _MOST_LABELS_OF_NOISE
