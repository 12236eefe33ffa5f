"""Whole studies as a refiner learns from them: drawn, changed in space and brightness, and cut to the head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from brain_tumor_training.data.cache import load_cache
from brain_tumor_training.data.sending import sent
from brain_tumor_training.fitting.augmentation import BRIGHTEST
from brain_tumor_training.refinement.logits import LOSS_PX, HeldOutLogits, StudyLogits
from brain_tumor_training.refinement.settings import RefinementSettings
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND
from BrainTumorSegLib.engine.inference.preprocessing import coarsen
from BrainTumorSegLib.engine.inference.refinement import COARSE_PX, LOGIT_LIMIT, LOGIT_UNIT, Box
from BrainTumorSegLib.engine.networks.inputs import SEQUENCES, SIZE_PX

_SHARE_GAMMA = 0.5
_SHADE_KNOTS = (3, 4, 4)
_CLEAR_BELOW = -1.0
_FINE = LOSS_PX // COARSE_PX
_FLAIR = SEQUENCES.index("flair")


@dataclass(frozen=True)
class StudyPatient:
    """One patient at the refiner's sampling.

    images: float16 [2, 3, S, 64, 64], variants and sequences as in CachedPatient. mask: float16 [S, 128, 128], the
    part of each block that is tumour. logits: by view.
    """

    name: str
    images: npt.NDArray[np.float16]
    mask: npt.NDArray[np.float16]
    logits: Mapping[str, StudyLogits]


@dataclass(frozen=True)
class StudySample:
    """A study as the network sees it, [4, D, H, W], and at LOSS_PX the logits [D, 2H, 2W] to correct and the mask."""

    seen: torch.Tensor
    logits: torch.Tensor
    mask: torch.Tensor


def load_patients(cache: Path, names: Sequence[str], held_out: HeldOutLogits) -> list[StudyPatient]:
    """Raises InputError for a patient whom no run of ``held_out`` held out."""
    return [_load(cache, name, held_out) for name in names]


def _load(cache: Path, name: str, held_out: HeldOutLogits) -> StudyPatient:
    patient = load_cache(cache, [name], SIZE_PX)[0]
    return StudyPatient(
        name,
        coarsen(np.asarray(patient.variants, np.float32), COARSE_PX).astype(np.float16),
        coarsen(patient.mask.astype(np.float32), LOSS_PX).astype(np.float16),
        held_out.of(name, cache),
    )


@dataclass(frozen=True)
class _ResidentPatient:
    """A StudyPatient's arrays on a device. logits: coarse and fine, by view."""

    images: torch.Tensor
    mask: torch.Tensor
    logits: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, patient: StudyPatient, device: torch.device) -> _ResidentPatient:
        def there(array: npt.NDArray[np.float16]) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        logits = {view: (there(one.coarse), there(one.fine)) for view, one in patient.logits.items()}
        return cls(there(patient.images), there(patient.mask), logits)


class StudyStream:
    """Sample number n is a function of (seed, n) alone, so that a resumed run sees what it would have seen.

    The patients' arrays lie on the device, some 10 MB each, and samples are made there.
    """

    def __init__(self, patients: Sequence[StudyPatient], settings: RefinementSettings, device: torch.device) -> None:
        self._patients = [_ResidentPatient.of(patient, device) for patient in patients]
        self._settings = settings
        self._views = list(settings.views)
        shares = np.array([settings.views[view].share for view in self._views])
        self._shares = shares / shares.sum()

    def __getitem__(self, index: int) -> StudySample:
        settings = self._settings
        epoch, position = divmod(index, len(self._patients))
        order = np.random.default_rng((settings.seed, epoch)).permutation(len(self._patients))
        rng = np.random.default_rng((settings.seed, 1, index))
        view = self._views[rng.choice(len(self._views), p=self._shares)]
        images, coarse, fine, mask = _tensors(self._patients[order[position]], view, settings)
        part = _part(len(mask), settings, rng)
        images, coarse, fine, mask = images[:, part], coarse[part], fine[part], mask[part]
        coarse, fine = _other_logits(coarse, fine, settings, rng)
        turn = sent(_affine(settings, rng), images.device)
        images, coarse = _turned(torch.cat([images - BACKGROUND, coarse[None] + LOGIT_LIMIT]), turn).split([3, 1])
        fine, mask = _turned(torch.stack([fine + LOGIT_LIMIT, mask]), turn)
        images = _relit(images, settings, rng)
        seen = torch.cat([images + BACKGROUND, (coarse - LOGIT_LIMIT) / LOGIT_UNIT])
        box = Box.around_head(seen[_FLAIR].cpu().numpy())  # the sample's size hangs on it: a GPU is waited for
        inner = (..., box.rows, box.columns)
        outer = (..., *(slice(one.start * _FINE, one.stop * _FINE) for one in (box.rows, box.columns)))
        return StudySample(seen[inner], fine[outer] - LOGIT_LIMIT, mask[outer])


def _tensors(patient: _ResidentPatient, view: str, settings: RefinementSettings) -> tuple[torch.Tensor, ...]:
    """Images [3, S, 64, 64], logits [S, 64, 64] and [S, 128, 128], mask [S, 128, 128], all float32."""
    seen = settings.views[view]
    sources = [_FLAIR if sequence in seen.dropped else sequence for sequence in range(len(SEQUENCES))]
    images = torch.stack([patient.images[seen.variant, source] for source in sources])
    return tuple(one.float() for one in (images, *patient.logits[view], patient.mask))


def _part(slices: int, settings: RefinementSettings, rng: np.random.Generator) -> slice:
    if rng.random() >= settings.crop_share:
        return slice(None)
    length = int(rng.integers(math.ceil(settings.smallest_crop * slices), slices + 1))
    start = int(rng.integers(slices - length + 1))
    return slice(start, start + length)


def _other_logits(
    coarse: torch.Tensor, fine: torch.Tensor, settings: RefinementSettings, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits as another network, or the gate, could have given them."""
    if rng.random() < settings.gate_share:
        clear = (fine.amax(dim=(1, 2)) < _CLEAR_BELOW)[:, None, None]
        coarse, fine = (torch.where(clear, -LOGIT_LIMIT, one) for one in (coarse, fine))
    scale, shift = rng.uniform(*settings.logit_scale), rng.normal(0, settings.logit_shift_std)
    coarse, fine = ((one * scale + shift).clamp(-LOGIT_LIMIT, LOGIT_LIMIT) for one in (coarse, fine))
    return coarse, fine


def _affine(settings: RefinementSettings, rng: np.random.Generator) -> torch.Tensor:
    """float32 [1, 2, 3] in the units of affine_grid: every slice of a study is turned, stretched and shifted alike."""
    one = settings.augmentation
    mirror = -1 if rng.random() < 0.5 else 1
    angle = math.radians(rng.uniform(-one.rotate_deg, one.rotate_deg))
    zoom = 1 + rng.uniform(-one.scale, one.scale, 2)
    # The square is 2 wide in these units.
    shift = 2 * rng.uniform(-one.translate_fraction, one.translate_fraction, 2)
    if rng.random() >= one.affine_probability:
        angle, zoom, shift = 0.0, np.ones(2), np.zeros(2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) @ np.diag(zoom)
    matrix = np.column_stack([turn @ np.diag([mirror, 1]), shift])
    return torch.from_numpy(matrix.astype(np.float32))[None]


def _turned(planes: torch.Tensor, affine: torch.Tensor) -> torch.Tensor:
    """Planes [C, S, H, W], 0 outside, each slice changed by the affine."""
    channels, slices, height, width = planes.shape
    grid = functional.affine_grid(affine, [1, 1, height, width], align_corners=False)
    flat = planes.reshape(1, channels * slices, height, width)
    return functional.grid_sample(flat, grid, align_corners=False).reshape(planes.shape)


def _relit(images: torch.Tensor, settings: RefinementSettings, rng: np.random.Generator) -> torch.Tensor:
    """Images [3, S, H, W] with background 0 under another scanner's gamma, brightness and coil."""
    one = settings.augmentation
    images = images.clamp(0, BRIGHTEST)
    if rng.random() < _SHARE_GAMMA:
        low, high = (math.log(end) for end in one.gamma)
        images = images ** _per_sequence(np.exp(rng.uniform(low, high, len(images))), images)
    images = images * _per_sequence(1 + rng.uniform(-one.brightness, one.brightness, len(images)), images)
    if rng.random() < one.bias_share:
        knots = rng.uniform(-one.bias_field, one.bias_field, (1, 1, *_SHADE_KNOTS))
        field = functional.interpolate(
            _sent(knots, images), size=images.shape[1:], mode="trilinear", align_corners=True
        )
        images = images * field[0].exp()
    return images.clamp(0, BRIGHTEST)


def _per_sequence(values: npt.NDArray[np.float64], images: torch.Tensor) -> torch.Tensor:
    return _sent(values, images)[:, None, None, None]


def _sent(values: npt.NDArray[np.float64], images: torch.Tensor) -> torch.Tensor:
    """As float32, to where the images are."""
    return sent(torch.from_numpy(values.astype(np.float32)), images.device)
