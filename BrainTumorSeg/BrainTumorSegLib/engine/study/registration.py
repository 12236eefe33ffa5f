"""Rigid registration of a sequence to FLAIR by mutual information.

Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 22 (2003) 120-128, as in
ITK. One thread and a seeded choice of voxels: the same images give the same transform, bit for bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import Cancelled, InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegistrationSettings:
    """All parameters of the registration; one definition for every caller.

    spacings_mm: resolution of each level, coarse to fine (a coarser axis stays as it is). iterations: at most, per
    level. bins: of the joint histogram, per image. sampling: part of the voxels used in each level, 0-1.
    learning_rate_mm, minimum_step_mm: first and last step of the search. lever_mm: how far a turn by one radian
    counts, about where a head's voxels lie from its centre. probe_mm, probe_degrees: how far away ``fits_near_headers``
    looks for a better place.
    """

    spacings_mm: tuple[float, ...] = (6.0, 3.0, 1.5)
    sampling: tuple[float, ...] = (1.0, 0.5, 0.15)
    iterations: int = 200
    bins: int = 32
    learning_rate_mm: float = 1.0
    minimum_step_mm: float = 5e-3
    lever_mm: float = 40.0
    seed: int = 20260
    probe_mm: float = 8.0
    probe_degrees: float = 8.0


@dataclass(frozen=True)
class Registration:
    """The transform that was found, from FLAIR's points to the other sequence's (LPS, mm), and how large it is.

    shift_mm: how far FLAIR's centre moves. angle_degrees: total rotation, 0-180.
    """

    transform: sitk.Euler3DTransform
    shift_mm: float
    angle_degrees: float


def register_rigidly(
    flair: sitk.Image,
    moving: sitk.Image,
    is_cancelled: Callable[[], bool],
    settings: RegistrationSettings = RegistrationSettings(),
) -> Registration:
    """Finds the rigid motion that lays ``moving`` onto FLAIR.

    Starts from the headers, or from the centres of mass where those fit better. Both images float32, 3D. Cancel is
    asked every iteration. Raises Cancelled; InputError if the images have too little in common to be registered.
    """
    transform = _best_start(flair, moving, settings)
    for spacing_mm, sampling in zip(settings.spacings_mm, settings.sampling, strict=True):
        if is_cancelled():
            raise Cancelled
        fixed, other = _coarsened(flair, spacing_mm), _coarsened(moving, spacing_mm)
        _improve(transform, fixed, other, sampling, is_cancelled, settings)
    return _measured(transform)


def fits_near_headers(
    flair: sitk.Image, moving: sitk.Image, settings: RegistrationSettings = RegistrationSettings()
) -> bool:
    """Whether the headers' own place has more mutual information than twelve places around it.

    These are a shift along and a turn about each axis, both ways, seen at the coarsest resolution: much faster than a
    registration, and False from about 4 mm and 2 degrees on. Both images float32, 3D.
    """
    fixed, other = _coarsened(flair, settings.spacings_mm[0]), _coarsened(moving, settings.spacings_mm[0])
    centre = _centre(flair)
    steps = [sign * step for step in np.eye(3) for sign in (-1, 1)]
    shifts = [sitk.Euler3DTransform(centre, 0.0, 0.0, 0.0, settings.probe_mm * step) for step in steps]
    turns = [sitk.Euler3DTransform(centre, *np.radians(settings.probe_degrees * step).tolist()) for step in steps]
    headers, *around = (
        _mismatch(fixed, other, place, settings) for place in (sitk.Euler3DTransform(centre, 0, 0, 0), *shifts, *turns)
    )
    return headers < min(around)


def mutual_information(
    flair: sitk.Image,
    moving: sitk.Image,
    transform: sitk.Transform,
    settings: RegistrationSettings = RegistrationSettings(),
) -> float:
    """Of both images' grey values where they overlap, nats, at the middle resolution; -inf where they do not meet.

    transform: maps FLAIR's points to the other's (LPS, mm). Both images float32, 3D.
    """
    spacing_mm = settings.spacings_mm[len(settings.spacings_mm) // 2]
    return -_mismatch(_coarsened(flair, spacing_mm), _coarsened(moving, spacing_mm), transform, settings)


def _centre(image: sitk.Image) -> tuple[float, ...]:
    centre: tuple[float, ...] = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    return centre


def _best_start(flair: sitk.Image, moving: sitk.Image, settings: RegistrationSettings) -> sitk.Euler3DTransform:
    """Identity (the headers) or aligned centres of mass, whichever has more mutual information."""
    fixed, other = _coarsened(flair, settings.spacings_mm[0]), _coarsened(moving, settings.spacings_mm[0])
    centre = _centre(flair)
    headers = sitk.Euler3DTransform(centre, 0.0, 0.0, 0.0)
    moments = sitk.Euler3DTransform(
        sitk.CenteredTransformInitializer(
            fixed, other, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
        )
    )
    about_centre = sitk.Euler3DTransform(centre, 0.0, 0.0, 0.0, moments.GetTranslation())
    return min((headers, about_centre), key=lambda start: _mismatch(fixed, other, start, settings))


def _mismatch(
    fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform, settings: RegistrationSettings
) -> float:
    """Negative mutual information; infinite where the images do not meet."""
    method = _method(settings, 1.0)
    method.SetInitialTransform(transform, inPlace=False)
    try:
        return float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:  # ITK's word for "no point of one image lies in the other"
        return float("inf")


def _improve(
    transform: sitk.Euler3DTransform,
    fixed: sitk.Image,
    moving: sitk.Image,
    sampling: float,
    is_cancelled: Callable[[], bool],
    settings: RegistrationSettings,
) -> None:
    """One level: moves the transform, in place, to the nearest maximum of mutual information."""
    method = _method(settings, sampling)
    method.SetInitialTransform(transform, inPlace=True)
    stopped = False

    def ask() -> None:
        nonlocal stopped
        if is_cancelled():
            stopped = True
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, ask)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise InputError(
            "A sequence could not be registered to FLAIR: the images have too little in common.",
            "Switch registration off, or leave this sequence out.",
        ) from error
    if stopped:
        raise Cancelled
    logger.debug("registration level done after %d iterations", method.GetOptimizerIteration())


def _method(settings: RegistrationSettings, sampling: float) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    # The order in which parts are summed depends on threads and work units; one keeps the result the same everywhere.
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(settings.bins)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(sampling, settings.seed)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        settings.learning_rate_mm,
        settings.minimum_step_mm,
        settings.iterations,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScales([settings.lever_mm**2] * 3 + [1.0] * 3)
    return method


def _coarsened(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """The image smoothed and thinned to about the spacing, axis by axis; coarser axes stay."""
    factors = [max(1, round(spacing_mm / own)) for own in image.GetSpacing()]
    return sitk.BinShrink(image, factors)


def _measured(transform: sitk.Euler3DTransform) -> Registration:
    matrix = np.reshape(transform.GetMatrix(), (3, 3))
    angle = float(np.degrees(np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))))
    return Registration(transform, float(np.linalg.norm(transform.GetTranslation())), angle)
