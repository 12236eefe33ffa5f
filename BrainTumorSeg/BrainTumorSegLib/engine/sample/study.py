"""A deterministic synthetic study to try things on: FLAIR, T1 and T1 with contrast of a head with a tumour.

Not a patient. The head (phantom.py) is scanned as a clinic would: every sequence on its own oblique grid, thick
slices with partial volume, a smooth coil profile, Rician noise (Gudbjartsson & Patz, MRM 34 (1995) 910-914).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import SimpleITK as sitk

from BrainTumorSegLib.engine.files import atomic_paths, output_errors
from BrainTumorSegLib.engine.sample.phantom import ORIGIN_LPS, Phantom, build_phantom
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume

SEED = 49755003
REFERENCE_THRESHOLD = 0.5


@dataclass(frozen=True)
class SamplePaths:
    """The files of the sample study; ``reference`` is the tumour's true mask (uint8, 0 or 1) on FLAIR's grid."""

    flair: Path
    t1: Path
    t1c: Path
    reference: Path


@dataclass(frozen=True)
class Acquisition:
    """How a sequence is scanned: columns, rows, slices; mm; centre in LPS mm; rotations about x, y, z in degrees.

    gain: scanner units of a tissue of brightness 1. noise: standard deviation before the magnitude, as part of gain.
    """

    size_ijk: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    centre_lps: tuple[float, float, float]
    tilt_degrees: tuple[float, float, float]
    gain: float
    noise: float

    @property
    def geometry(self) -> Geometry:
        """The grid of the scan."""
        rotation = sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians(self.tilt_degrees).tolist()).GetMatrix()
        half = [(size - 1) / 2 * spacing for size, spacing in zip(self.size_ijk, self.spacing_mm, strict=True)]
        origin = np.asarray(self.centre_lps) - np.reshape(rotation, (3, 3)) @ half
        return Geometry(self.size_ijk, self.spacing_mm, tuple(origin.tolist()), tuple(rotation))


ACQUISITIONS = {
    "flair": Acquisition((256, 256, 26), (0.9, 0.9, 5.5), (2.0, -4.0, 10.0), (-12.0, 2.0, -3.0), 320.0, 0.035),
    "t1": Acquisition((256, 224, 28), (0.9, 0.9, 5.5), (-3.0, 2.0, 6.0), (-4.0, -3.0, 2.0), 300.0, 0.025),
    "t1c": Acquisition((192, 224, 58), (1.0, 1.0, 3.0), (0.0, 0.0, 8.0), (0.0, 3.0, 4.0), 350.0, 0.03),
}


def write_sample(folder: Path) -> SamplePaths:
    """Writes the sample study into the folder, which is made if needed; the same bytes every time on one platform.

    Files: flair.nii.gz, t1.nii.gz, t1c.nii.gz (int16), reference.nii.gz (uint8, on FLAIR's grid). Raises OutputError
    if the folder can't be written.
    """
    paths = SamplePaths(*(folder / f"{name}.nii.gz" for name in ("flair", "t1", "t1c", "reference")))
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    phantom = build_phantom(np.random.default_rng(SEED))
    images = [
        scan(phantom, name, acquisition, np.random.default_rng([SEED, number]))
        for number, (name, acquisition) in enumerate(ACQUISITIONS.items())
    ]
    images.append(reference_mask(phantom, ACQUISITIONS["flair"]))
    with atomic_paths([paths.flair, paths.t1, paths.t1c, paths.reference]) as temporary:
        for image, path in zip(images, temporary, strict=True):
            sitk.WriteImage(image, str(path))
    return paths


def scan(phantom: Phantom, name: str, acquisition: Acquisition, rng: np.random.Generator) -> sitk.Image:
    """One sequence of the phantom as the scanner would give it: int16, on the acquisition's grid."""
    signal = _sampled(phantom.brightness(name), acquisition.geometry) * _coil_profile(acquisition.geometry)
    real, imaginary = acquisition.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    magnitude = acquisition.gain * np.hypot(signal + real, imaginary)
    return Volume(np.rint(magnitude).astype(np.int16), acquisition.geometry).to_image()


def reference_mask(phantom: Phantom, acquisition: Acquisition) -> sitk.Image:
    """The FLAIR abnormality on the acquisition's grid: voxels at least half filled with it, uint8 0 or 1."""
    filled = _sampled(phantom.lesion(), acquisition.geometry)
    return Volume(filled >= REFERENCE_THRESHOLD, acquisition.geometry).to_image()


def _sampled(field: npt.NDArray[np.float32], geometry: Geometry) -> npt.NDArray[np.float32]:
    """A field on the phantom's grid averaged over each voxel of another grid (thick slices: partial volume)."""
    image = sitk.GetImageFromArray(scipy.ndimage.gaussian_filter(field, 0.5, truncate=2))
    image.SetOrigin(ORIGIN_LPS)
    parts = max(1, round(geometry.spacing_mm[2]))
    columns, rows, slices = geometry.size_ijk
    normal = np.reshape(geometry.direction_lps, (3, 3))[:, 2]
    thin_mm = geometry.spacing_mm[2] / parts
    origin = np.asarray(geometry.origin_lps) - normal * (parts - 1) / 2 * thin_mm
    fine = sitk.Resample(
        image,
        (columns, rows, slices * parts),
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkLinear,
        origin.tolist(),
        (*geometry.spacing_mm[:2], thin_mm),
        geometry.direction_lps,
    )
    return sitk.GetArrayViewFromImage(fine).reshape(slices, parts, rows, columns).mean(axis=1)


def _coil_profile(geometry: Geometry) -> npt.NDArray[np.float32]:
    """Smooth brightness of a head coil, about 0.8-1.4: brighter toward its elements, uneven from side to side."""
    k, j, i = (np.linspace(-1, 1, n, dtype=np.float32) for n in geometry.shape_kji)
    w, v, u = k[:, None, None], j[None, :, None], i[None, None, :]
    return np.exp(0.08 * u - 0.1 * v + 0.06 * w + 0.25 * (u**2 + v**2) - 0.05 * w**2 + 0.08 * u * v - 0.04)
