"""A synthetic head with a glioma, on a 1 mm grid in its own upright frame (LPS, centre of the brain at 0).

Anatomy is drawn by implicit functions: layered skull and scalp, a cortex folded along the zero levels of band-limited
noise, ventricles, deep grey nuclei, cerebellum, brainstem, eyes, sinuses; the tumour is a noisy ball whose oedema
follows white matter. Brightness per tissue follows what clinical FLAIR, T1 and contrast-enhanced T1 show at 1.5 T.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

Field = npt.NDArray[np.floating[Any]]

SHAPE_KJI = (180, 216, 180)
# LPS millimetres of the first voxel: the head's top is at z = +84, the grid's lower end cuts the face.
ORIGIN_LPS = (-89.5, -107.5, -90.0)
LESION_CENTRE_LPS = (-36.0, 6.0, 30.0)


class Tissue(IntEnum):
    """What a voxel holds; the columns of BRIGHTNESS."""

    AIR = 0
    SKIN = 1
    FAT = 2
    BONE = 3
    MARROW = 4
    MUSCLE = 5
    CSF = 6
    GREY = 7
    WHITE = 8
    DEEP_GREY = 9
    EYE = 10
    VESSEL = 11
    OEDEMA = 12
    TUMOUR = 13
    CORE = 14
    RIM = 15


CORTEX_MM = 2.7  # Fischl & Dale, PNAS 97 (2000) 11050-11055: 1-4.5 mm, 2.5 on average

# Relative to white matter = 1.
BRIGHTNESS: dict[str, dict[Tissue, float]] = {
    "flair": {
        Tissue.AIR: 0.01, Tissue.SKIN: 1.3, Tissue.FAT: 2.3, Tissue.BONE: 0.06, Tissue.MARROW: 0.75,
        Tissue.MUSCLE: 0.55, Tissue.CSF: 0.12, Tissue.GREY: 1.17, Tissue.WHITE: 1.0, Tissue.DEEP_GREY: 1.1,
        Tissue.EYE: 0.15, Tissue.VESSEL: 0.3, Tissue.OEDEMA: 1.75, Tissue.TUMOUR: 1.9, Tissue.CORE: 1.6,
        Tissue.RIM: 1.85,
    },
    "t1": {
        Tissue.AIR: 0.01, Tissue.SKIN: 1.1, Tissue.FAT: 2.4, Tissue.BONE: 0.08, Tissue.MARROW: 1.1,
        Tissue.MUSCLE: 0.7, Tissue.CSF: 0.32, Tissue.GREY: 0.78, Tissue.WHITE: 1.0, Tissue.DEEP_GREY: 0.86,
        Tissue.EYE: 0.35, Tissue.VESSEL: 0.35, Tissue.OEDEMA: 0.78, Tissue.TUMOUR: 0.66, Tissue.CORE: 0.48,
        Tissue.RIM: 0.68,
    },
    "t1c": {
        Tissue.AIR: 0.01, Tissue.SKIN: 1.3, Tissue.FAT: 2.3, Tissue.BONE: 0.08, Tissue.MARROW: 1.1,
        Tissue.MUSCLE: 0.9, Tissue.CSF: 0.3, Tissue.GREY: 0.83, Tissue.WHITE: 1.0, Tissue.DEEP_GREY: 0.88,
        Tissue.EYE: 0.35, Tissue.VESSEL: 2.0, Tissue.OEDEMA: 0.79, Tissue.TUMOUR: 0.72, Tissue.CORE: 0.48,
        Tissue.RIM: 1.6,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Phantom:
    """tissue: uint8 [K, J, I] of Tissue values, 1 mm, from ORIGIN_LPS. texture: float32, same shape, around 1."""

    tissue: npt.NDArray[np.uint8]
    texture: Field

    def brightness(self, sequence: str) -> Field:
        """The noise-free signal of "flair", "t1" or "t1c", float32 [K, J, I]; normal white matter is about 1."""
        table = np.array([BRIGHTNESS[sequence][tissue] for tissue in Tissue], np.float32)
        return table[self.tissue] * self.texture

    def lesion(self) -> Field:
        """1 inside the FLAIR abnormality (oedema and tumour), else 0; float32 [K, J, I]."""
        return (self.tissue >= Tissue.OEDEMA).astype(np.float32)


def build_phantom(rng: np.random.Generator) -> Phantom:
    """Draws the head. The same generator state gives the same head."""
    x, y, z = _coordinates()
    wobble = band_noise(rng, 90.0, 30.0)
    depth = _depth_in_head(x, y, z) + 0.8 * wobble
    above_base = z - _floor(x, y)
    tissue = _scalp_and_face(x, y, z, depth, band_noise(rng, 26.0, 10.0))
    tissue[(depth > 6 + wobble) & (above_base > -5)] = Tissue.BONE
    tissue[(np.abs(depth - 9.0) < 1.4) & (above_base > 0)] = Tissue.MARROW
    inside = (depth > 12) & (above_base > -2)
    tissue = np.where(inside, _brain(x, y, z, np.minimum(depth - 13.0, above_base), rng), tissue)
    tissue[_brainstem(x, y, z) < 1] = Tissue.WHITE
    _draw_vessels(tissue, x, y, z, depth, rng)
    _draw_lesion(tissue, x, y, z, rng)
    return Phantom(tissue, 1 + np.float32(0.03) * band_noise(rng, 40.0, 6.0))


def band_noise(rng: np.random.Generator, longest_mm: float, shortest_mm: float) -> Field:
    """Smooth periodic noise of unit variance, wavelengths about in the band; float32 [K, J, I] of SHAPE_KJI."""
    frequencies = (np.fft.fftfreq(SHAPE_KJI[0]), np.fft.fftfreq(SHAPE_KJI[1]), np.fft.rfftfreq(SHAPE_KJI[2]))
    gain = _gaussian(frequencies, shortest_mm) - _gaussian(frequencies, longest_mm)
    white = rng.standard_normal((*gain.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    noise = scipy.fft.irfftn(white * gain, SHAPE_KJI, workers=1)
    noise /= noise.std()
    return noise


def _gaussian(frequencies: tuple[Field, ...], wavelength_mm: float) -> Field:
    """exp(-(f * wavelength)^2) of the spatial frequency f = |(f_k, f_j, f_i)|, as a product over the axes."""
    k, j, i = (np.exp(-np.square(one * wavelength_mm)).astype(np.float32) for one in frequencies)
    return k[:, None, None] * j[None, :, None] * i[None, None, :]


def _coordinates() -> tuple[Field, Field, Field]:
    """x, y, z in LPS mm, as open grids [1, 1, I], [1, J, 1], [K, 1, 1]."""
    k, j, i = (np.arange(n, dtype=np.float32) for n in SHAPE_KJI)
    x, y, z = (axis + np.float32(start) for axis, start in zip((i, j, k), ORIGIN_LPS, strict=True))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def _ball(x: Field, y: Field, z: Field, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Field:
    """Squared distance from an ellipsoid's centre; its surface is at 1."""
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2


def _step(value: Field, width: float) -> Field:
    """A smooth step from 0 to 1 around value = 0."""
    return (1 + np.tanh(value / width)) / 2


def _depth_in_head(x: Field, y: Field, z: Field) -> Field:
    """How deep below the skin, mm, about; negative outside. Cranium: ellipsoid, flatter at the sides; below: face."""
    wide = 76 - 5 * _step(-y - 30, 25)
    cranium = np.sqrt((x / wide) ** 2 + (y / 95) ** 2 + (z / 86) ** 2) + 1e-6
    face = np.sqrt((x / 60) ** 2 + ((y + 22) / 72) ** 2) + 1e-6 + np.maximum(0, (z + 14) / 40)
    neck = np.sqrt((x / 58) ** 2 + ((y - 20) / 52) ** 2) + np.maximum(0, (z + 45) / 40)
    return np.maximum(np.maximum((1 - cranium) * 82, (1 - face) * 62), (1 - neck) * 52)


def _floor(x: Field, y: Field) -> Field:
    """Height of the skull base under the brain, mm: frontal, middle and posterior fossa."""
    middle = _step(y + 36, 4) * _step(np.abs(x) - 17, 4)
    posterior = _step(y - 6 - 0.45 * np.abs(x), 4)
    return -18 - 24 * np.maximum(middle, posterior) - 22 * posterior * _step(52 - np.abs(x), 5)


def _scalp_and_face(x: Field, y: Field, z: Field, depth: Field, grain: Field) -> npt.NDArray[np.uint8]:
    """Skin, fat and, below the skull base, a grainy mixture of muscle, fat, bone and air with eyes and sinuses."""
    tissue = np.where(grain > 0.8, np.uint8(Tissue.FAT), np.uint8(Tissue.MUSCLE))
    tissue[grain < -1.1] = Tissue.BONE
    side = np.abs(x)
    tissue[_ball(side, y, z, (31, -66, -33), (19, 22, 17)) < 1] = Tissue.FAT
    tissue[_ball(side, y, z, (31, -72, -33), (12, 12, 12)) < 1] = Tissue.EYE
    tissue[_ball(side, y, z, (54, 20, -48), (12, 15, 14)) < 1 - 0.3 * grain] = Tissue.BONE
    tissue[_ball(x, y, z, (0, -66, -44), (13, 22, 24)) < 1 - 0.3 * grain] = Tissue.AIR
    tissue[_ball(side, y, z, (30, -66, -68), (14, 16, 13)) < 1 - 0.2 * grain] = Tissue.AIR
    temporal_muscle = (depth < 12) & (z < 0) & (y > -60) & (y < 15)
    tissue[(depth < 5.5) & ~(temporal_muscle & (depth > 3))] = Tissue.FAT
    tissue[depth < 1.6] = Tissue.SKIN
    tissue[depth < 0] = Tissue.AIR
    return tissue


def _brain(x: Field, y: Field, z: Field, surface: Field, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """CSF, folded cortex, white matter, ventricles, nuclei and cerebellum where ``surface`` (mm below pia) says."""
    pial = np.minimum(_distance_to_folds(x, y, z, surface, rng), surface)
    cerebellum = (y > 4 + 0.45 * np.abs(x)) & (z < -14 - 0.22 * (y - 12))
    tentorium = np.abs(z + 14 + 0.22 * (y - 12)) + 3 * np.maximum(0, 6 + 0.45 * np.abs(x) - y)
    folia = np.abs(np.mod(z + 0.5 * np.abs(x) + 0.15 * y, 4.6) - 2.3) + np.maximum(0, surface - 14)
    pial = np.minimum(np.where(cerebellum, np.minimum(surface, folia), pial), tentorium - 1.2)
    tissue = np.where(pial < CORTEX_MM, np.uint8(Tissue.GREY), np.uint8(Tissue.WHITE))
    side = np.abs(x)
    for centre, radii in (((12, 9, 4), (9, 14, 8)), ((25, -8, 2), (5, 16, 9)), ((13, -24, 8), (4, 9, 8))):
        tissue[_ball(side, y, z, centre, radii) < 1] = Tissue.DEEP_GREY
    tissue[(pial < 0) | (_ventricles(x, y, z) < 0)] = Tissue.CSF
    return tissue


def _distance_to_folds(x: Field, y: Field, z: Field, surface: Field, rng: np.random.Generator) -> Field:
    """Millimetres from the nearest sulcus or fissure wall; sulci are zero levels of noise, 10-20 mm deep."""
    noise = band_noise(rng, 30.0, 13.0)
    slope = np.sqrt(sum(np.square(one) for one in np.gradient(noise)))
    wander = band_noise(rng, 60.0, 20.0)
    sulci = np.abs(noise) / (slope + 0.02) - 0.55 + np.maximum(0, surface - 15 - 4 * wander)
    midline = np.abs(x + 1.0 * wander) - 0.9 + np.maximum(0, 26 - z - np.maximum(0, np.abs(y) - 40))
    sylvian = (
        np.abs(z - 2 - 0.3 * y + 1.5 * wander) - 1.3 + np.maximum(0, 36 - np.abs(x)) + np.maximum(0, np.abs(y + 8) - 30)
    )
    return np.minimum(np.minimum(sulci, midline), sylvian)


# Lateral ventricle of one side: ends (|x|, y, z) and radii of its pieces, mm.
_HORNS = (
    ((11, -38, 6), 3.0, (6, -12, 17), 5.0),
    ((6, -12, 17), 5.0, (9, 14, 19), 5.5),
    ((9, 14, 19), 5.5, (21, 34, 10), 7.0),
    ((21, 34, 10), 7.0, (20, 56, 6), 2.5),
    ((21, 34, 10), 6.0, (31, 0, -18), 2.5),
)


def _ventricles(x: Field, y: Field, z: Field) -> Field:
    """Distance to the ventricles' walls, mm, negative inside: lateral (capsules), third, fourth."""
    side = np.abs(x + 0.6)
    distance = np.maximum(np.maximum(side - 2.2, np.abs(y - 2) - 14), np.abs(z + 3) - 9)
    distance = np.minimum(distance, 6 * (_ball(x, y, z, (0, 33, -34), (6, 4, 8)) - 1))
    for (x0, y0, z0), start, (x1, y1, z1), end in _HORNS:
        dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
        along = ((side - x0) * dx + (y - y0) * dy + (z - z0) * dz) / np.float32(dx * dx + dy * dy + dz * dz)
        along = np.clip(along, 0, 1)
        squared = (side - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 + (z - z0 - along * dz) ** 2
        distance = np.minimum(distance, np.sqrt(squared) - start - along * (end - start))
    return distance


def _brainstem(x: Field, y: Field, z: Field) -> Field:
    """Below 1 inside midbrain, pons and medulla."""
    stem = ((x / 12) ** 2 + ((y - 20) / 10) ** 2) + np.maximum(0, (z + 10) / 4)
    return np.minimum(stem, _ball(x, y, z, (0, 14, -32), (16, 13, 14)))


def _draw_vessels(
    tissue: npt.NDArray[np.uint8], x: Field, y: Field, z: Field, depth: Field, rng: np.random.Generator
) -> None:
    """Sagittal sinus, some arteries and veins in the fluid, choroid plexus in the atria; in place."""
    in_fluid = (tissue == Tissue.CSF) & (band_noise(rng, 16.0, 6.0) > 1.7)
    sinus = (np.abs(x) < 1 + 0.8 * (17 - depth)) & (depth > 11) & (depth < 17) & ((z > 20) | (y > 45)) & (z > -12)
    choroid = _ball(np.abs(x), y, z, (20, 33, 9), (3, 6, 3)) < 1
    tissue[in_fluid | sinus | choroid] = Tissue.VESSEL


def _draw_lesion(tissue: npt.NDArray[np.uint8], x: Field, y: Field, z: Field, rng: np.random.Generator) -> None:
    """Tumour with enhancing rim and dark core; oedema reaches further in white matter than in cortex; in place."""
    radius = np.sqrt(_ball(x, y, z, LESION_CENTRE_LPS, (1.0, 1.15, 0.95)))
    radius *= 1 + 0.13 * band_noise(rng, 60.0, 24.0)
    grey = (tissue == Tissue.GREY) | (tissue == Tissue.DEEP_GREY)
    tissue[(radius < 27) & (tissue == Tissue.WHITE) | (radius < 23) & grey] = Tissue.OEDEMA
    soft = tissue >= Tissue.CSF
    for limit, kind in ((17.0, Tissue.TUMOUR), (11.0, Tissue.RIM), (8.0, Tissue.CORE)):
        tissue[(radius < limit) & soft] = kind
