"""A network's logits for whole patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from brain_tumor_training.data.cache import CachedPatient
from brain_tumor_training.data.slices import SlicePool, take_slice
from brain_tumor_training.fitting.forward import forward
from brain_tumor_training.recipes.settings import TrainingSettings
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND
from BrainTumorSegLib.engine.inference.refinement import refine
from BrainTumorSegLib.engine.networks.inputs import CHANNELS
from BrainTumorSegLib.engine.networks.registry import refiner_of

_BATCH = 8


@torch.inference_mode()
def slice_logits(
    network: nn.Module,
    patient: CachedPatient,
    channels: Sequence[str],
    compute: Compute,
    variant: int = 0,
    dropped: frozenset[int] = frozenset(),
) -> npt.NDArray[np.float32]:
    """A network's logits [S, 256, 256] of a patient's slices, mean of the slice and its mirror image as shipped."""
    wanted = [CHANNELS[name] for name in channels]
    parts = []
    for start in range(0, len(patient.mask), _BATCH):
        some = range(start, min(start + _BATCH, len(patient.mask)))
        images = np.stack([take_slice(patient, s, wanted, variant, dropped)[0] for s in some]) + BACKGROUND
        image = torch.from_numpy(images.clip(BACKGROUND, 3))
        both = forward(network, image, compute) + forward(network, image.flip(-1), compute).flip(-1)
        parts.append(both.cpu() / 2)
    return torch.cat(parts)[:, 0].numpy()


@torch.inference_mode()
def corrected_logits(
    network: nn.Module, patient: CachedPatient, channels: Sequence[str], compute: Compute
) -> npt.NDArray[np.float32]:
    """Logits [S, 256, 256] of a network with a refiner, as the pipeline has them with the gate off."""
    refiner = network.get_submodule("refiner")

    def correct(study: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return forward(refiner, torch.from_numpy(study), compute).cpu().numpy()

    logits = slice_logits(network, patient, channels, compute)
    return refine(correct, np.asarray(patient.variants[0], np.float32), logits, patient.neighbour_step)


@dataclass(frozen=True)
class PatientLogits:
    """Logits and reference of one patient's slices in a pool.

    logits: float32 [S, H, W] of a segmentation, [S] of a classifier. mask: bool [S, H, W]. neighbour_step: see
    PreparedPatient.
    """

    name: str
    logits: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    neighbour_step: int = 1


@torch.no_grad()
def predict(
    network: nn.Module, pool: SlicePool, settings: TrainingSettings, compute: Compute
) -> Iterator[PatientLogits]:
    """Logits of every slice of the pool, patient by patient, without augmentation.

    Those of a network with a refiner are of the whole study, as shipped: of both views, and corrected.
    """
    was_training = network.training
    network.eval()
    channels = [CHANNELS[name] for name in settings.channels]
    for index, patient in enumerate(pool.patients):
        positions = [s for p, s in pool.slices if p == index]
        if not positions:
            continue
        if refiner_of(network) is not None:
            corrected = corrected_logits(network, patient, settings.channels, compute)[positions]
            yield PatientLogits(patient.name, corrected, patient.mask[positions], patient.neighbour_step)
            continue
        parts = []
        for start in range(0, len(positions), settings.batch_size):
            some = positions[start : start + settings.batch_size]
            images = np.stack([take_slice(patient, s, channels)[0] for s in some]) + BACKGROUND
            parts.append(forward(network, torch.from_numpy(images.clip(BACKGROUND, 3)), compute).cpu())
        logits = torch.cat(parts)
        yield PatientLogits(
            patient.name,
            (logits[:, 0] if logits.ndim == 4 else logits).numpy(),
            patient.mask[positions],
            patient.neighbour_step,
        )
    network.train(was_training)
