"""Whether a study as acquired is outlined as well as its stack in the LGG set: Dice against the set's reference.

    python benchmarks/native_study.py --native DIR/TCGA_FG_6692 --stack KAGGLE/TCGA_FG_6692_20020606 --release DIR

The stack has no geometry, so it is given a spacing and registered to the native FLAIR (SimpleITK: a similarity
transform, Mattes mutual information); the pipeline's probability is then brought to the stack and compared there. For
comparison the stack itself is segmented, and the native FLAIR resampled to the stack's own slices, which are tilted
against its own: what differs between these two is the acquisition, what differs from the first is where slices lie. The
models should be of the fold that held the patient out: `braintumorseg-train evaluate OUT ...` leaves each fold's in
OUT/work/models.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from brain_tumor_training.data.kaggle import SEQUENCES, read_patient
from brain_tumor_training.metrics.overlap import count_slices, volumetric_dice
from BrainTumorSegLib.engine.inference.segmenter import load_segmenter
from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.models.index import read_index
from BrainTumorSegLib.engine.models.store import ModelStore, find_home
from BrainTumorSegLib.engine.study.alignment import by_header, by_registration
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study, study_from_images

BRIGHT_PERCENTILE = 99.0


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--native", required=True, help="path of the NIfTI files up to _flair.nii.gz")
    parser.add_argument("--stack", type=Path, required=True, help="the patient's folder of the LGG set")
    parser.add_argument("--release", type=Path, required=True, help="folder with the models")
    parser.add_argument("--model", default="segmentation", help="name of the segmentation model in it")
    parser.add_argument("--pixel-mm", type=float, default=0.79, help="of the stack; the registration may scale it")
    parser.add_argument("--slice-mm", type=float, default=5.5, help="of the stack")
    arguments = parser.parse_args()

    patient = read_patient(arguments.stack)
    spacing_mm = (arguments.pixel_mm, arguments.pixel_mm, arguments.slice_mm)
    images = {name: with_spacing(one, spacing_mm) for name, one in zip(SEQUENCES, patient.sequences, strict=True)}
    stack = images["flair"]
    paths = [Path(f"{arguments.native}_{name}.nii.gz") for name in ("flair", "t1", "t1c")]
    native = sitk.ReadImage(str(paths[0]), sitk.sitkFloat32)
    transform = stack_to_native(stack, native)
    moved = sitk.Resample(native, stack, transform, sitk.sitkLinear)
    correlation = np.corrcoef(sitk.GetArrayViewFromImage(moved).ravel(), sitk.GetArrayViewFromImage(stack).ravel())[
        0, 1
    ]
    tilt = tilt_deg(transform, native)
    print(f"registered: the FLAIRs correlate by {correlation:.3f}, slices are tilted by {tilt:.1f} degrees")

    store = ModelStore(read_index(arguments.release / "index.json"), find_home({}), arguments.release)
    segmenter = load_segmenter(store, arguments.model)
    for name, study in (
        ("FLAIR alone", read_study(StudyPaths(paths[0]))),
        ("three sequences, registered", read_study(StudyPaths(*paths), by_registration)),
        ("three sequences, by their headers", read_study(StudyPaths(*paths), by_header)),
    ):
        result = segmenter.segment(study)
        found = found_on_stack(result, native, stack, transform)
        print(f"{name:34} Dice {dice(found, patient.mask):.3f}, {volume_ml(result):.1f} mL")
    for name, study in (
        ("FLAIR alone, on the stack's slices", study_from_images(moved)),
        ("the stack, FLAIR alone", study_from_images(stack)),
        ("the stack, three sequences", study_from_images(stack, images["t1"], images["t1c"])),
    ):
        result = segmenter.segment(study)
        print(f"{name:34} Dice {dice(result.mask > 0, patient.mask):.3f}, {volume_ml(result):.1f} mL")


def with_spacing(array: npt.NDArray[Any], spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """A stack [S, H, W] as an image, its axes those of the array."""
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetSpacing(spacing_mm)
    return image


def found_on_stack(
    result: Result, native: sitk.Image, stack: sitk.Image, transform: sitk.Transform
) -> npt.NDArray[np.bool_]:
    """What a result marks, its probability brought to the stack, bool [S, H, W]."""
    probability = sitk.GetImageFromArray(result.probability)
    probability.CopyInformation(native)
    on_stack = sitk.GetArrayFromImage(sitk.Resample(probability, stack, transform, sitk.sitkLinear))
    return np.asarray(on_stack >= result.settings.threshold)


def dice(found: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_]) -> float:
    """Of all slices as one mask."""
    return volumetric_dice(count_slices(found, mask))


def volume_ml(result: Result) -> float:
    """Of the result's mask."""
    return float(result.mask.sum() * result.geometry.voxel_volume_ml)


def tilt_deg(transform: sitk.Transform, native: sitk.Image) -> float:
    """Angle between the native slices and those of the stack, degrees."""
    origin, above = (np.array(transform.TransformPoint(point)) for point in ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    of_stack = (above - origin) / np.linalg.norm(above - origin)
    of_native = np.array(native.GetDirection()).reshape(3, 3)[:, 2]
    return float(np.degrees(np.arccos(abs(of_stack @ of_native))))


def stack_to_native(stack: sitk.Image, native: sitk.Image) -> sitk.Transform:
    """Transform of points in the stack (mm) to points of the native FLAIR (LPS, mm), by their contents."""
    bright = float(np.percentile(sitk.GetArrayViewFromImage(native), BRIGHT_PERCENTILE))
    native = sitk.Clamp(native, lowerBound=0.0, upperBound=bright)
    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    start = sitk.CenteredTransformInitializer(stack, native, sitk.Similarity3DTransform(), moments)
    registration = sitk.ImageRegistrationMethod()
    registration.SetMetricAsMattesMutualInformation(40)
    registration.SetMetricSamplingStrategy(registration.RANDOM)
    registration.SetMetricSamplingPercentage(0.15, 7)
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200, 0.6)
    registration.SetOptimizerScalesFromPhysicalShift()
    registration.SetShrinkFactorsPerLevel([2, 1])
    registration.SetSmoothingSigmasPerLevel([2, 1])
    registration.SetInitialTransform(start, False)
    return registration.Execute(stack, native)


if __name__ == "__main__":
    main()
