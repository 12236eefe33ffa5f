"""Writes real DICOM files with pydicom, as a scanner would, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

PATIENT = "DOE^JANE"


Edit = Callable[[pydicom.Dataset, int], None]


def write_series(
    folder: Path, image: sitk.Image, repeats: int = 1, uid: str = "", edit: Edit | None = None, **attributes: Any
) -> list[Path]:
    """Writes one file per slice of a 3D int16 image; ``attributes`` are DICOM keywords. Returns paths by slice.

    repeats: how often every position is written, as echoes of growing time and falling brightness. edit: changes the
    data set of slice k, its second argument, before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uid, name = uid or generate_uid(), generate_uid()[-6:]
    array = sitk.GetArrayFromImage(image).astype(np.int16)
    paths = []
    for echo in range(repeats):
        for k in range(array.shape[0]):
            path = folder / f"IM_{name}_{echo}_{array.shape[0] - k:03d}.dcm"
            dataset = _dataset(path, image, array[k] // (echo + 1), uid, MRImageStorage)
            dataset.ImagePositionPatient = _text(image.TransformIndexToPhysicalPoint((0, 0, k)))
            dataset.ImageOrientationPatient = _orientation(image)
            dataset.PixelSpacing = _text(image.GetSpacing()[1::-1])
            dataset.SliceThickness = f"{image.GetSpacing()[2]:.6f}"
            dataset.InstanceNumber = echo * array.shape[0] + k + 1
            for keyword, value in {"EchoTime": str(10 * (echo + 1)), **attributes}.items():
                setattr(dataset, keyword, value)
            if edit is not None:
                edit(dataset, k)
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
    return paths


def write_enhanced(
    path: Path,
    image: sitk.Image,
    order: Sequence[int] | None = None,
    edit: Callable[[pydicom.Dataset, int], Any] | None = None,
    **attributes: Any,
) -> Path:
    """Writes a 3D int16 image as one enhanced multi-frame MR file.

    order: the slice that each frame shows; every slice once by default. edit: changes the functional groups of the
    frame whose number is its second argument, and may return the value by which the frame's pixels are divided.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    array = sitk.GetArrayFromImage(image).astype(np.int16)
    dataset = _dataset(path, image, array[0], generate_uid(), EnhancedMRImageStorage)
    order = range(array.shape[0]) if order is None else order
    frames = [_frame(image, k) for k in order]
    divisors = [(edit(frame, n) if edit else None) or 1 for n, frame in enumerate(frames)]
    dataset.NumberOfFrames = str(len(frames))
    dataset.PixelData = b"".join((array[k] / by).astype("<i2").tobytes() for k, by in zip(order, divisors, strict=True))
    measures = pydicom.Dataset()
    measures.PixelSpacing = _text(image.GetSpacing()[1::-1])
    measures.SliceThickness = f"{image.GetSpacing()[2]:.6f}"
    measures.SpacingBetweenSlices = measures.SliceThickness
    orientation = pydicom.Dataset()
    orientation.ImageOrientationPatient = _orientation(image)
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = frames
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _frame(image: sitk.Image, k: int) -> pydicom.Dataset:
    position = pydicom.Dataset()
    position.ImagePositionPatient = _text(image.TransformIndexToPhysicalPoint((0, 0, k)))
    content = pydicom.Dataset()
    content.DimensionIndexValues = [k + 1]
    content.InStackPositionNumber = k + 1
    content.StackID = "1"
    frame = pydicom.Dataset()
    frame.PlanePositionSequence = [position]
    frame.FrameContentSequence = [content]
    return frame


def _dataset(path: Path, image: sitk.Image, pixels: npt.NDArray[np.int16], uid: str, storage: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID = PATIENT, "4711"
    dataset.Modality, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "MR", "1.2.3.4", uid
    dataset.FrameOfReferenceUID = "1.2.3.5"
    dataset.Rows, dataset.Columns = image.GetSize()[1], image.GetSize()[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels.tobytes()
    return dataset


def _orientation(image: sitk.Image) -> list[str]:
    direction = np.reshape(image.GetDirection(), (3, 3))
    return _text([*direction[:, 0], *direction[:, 1]])


def _text(values: Sequence[float]) -> list[str]:
    """DICOM's decimal strings: at most 16 characters."""
    return [f"{value:.10f}"[:16] for value in values]
