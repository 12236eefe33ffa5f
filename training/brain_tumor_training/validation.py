"""A look at slices that training does not see, in the training process: for steering, not for results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import nn

from brain_tumor_training.data import SlicePool, take_slice
from brain_tumor_training.forward import forward
from brain_tumor_training.losses import Loss
from brain_tumor_training.metrics import SliceCounts, count_slices, volumetric_dice
from brain_tumor_training.settings import TrainingSettings
from brain_tumor_training.slice_classification import ScoredSlices, roc_auc
from brain_tumor_training.study_logits import corrected_logits
from BrainTumorSegLib.engine.device import Compute
from BrainTumorSegLib.engine.networks.registry import refiner_of
from BrainTumorSegLib.engine.normalisation import BACKGROUND
from BrainTumorSegLib.engine.preprocessing import CHANNELS

_MAPS_NDIM = 3


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


@dataclass(frozen=True)
class ValidationResult:
    """loss: mean over batches. score: mean volumetric Dice at probability 0.5, or ROC AUC of a slice classifier."""

    loss: float
    score: float


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


def validate(
    network: nn.Module, pool: SlicePool, settings: TrainingSettings, loss: Loss, compute: Compute
) -> ValidationResult:
    """Loss and score on a pool.

    The loss is that of batches as training makes them, of any patients' slices: a loss of overlap is another one for
    a patient of whom only slices without tumour are watched. Which slices go together is the same at every call.
    """
    patients = list(predict(network, pool, settings, compute))
    logits = torch.from_numpy(np.concatenate([one.logits for one in patients]))
    logits = logits[:, None] if logits.ndim == _MAPS_NDIM else logits
    masks = torch.from_numpy(np.concatenate([one.mask for one in patients])[:, None])
    order = torch.from_numpy(np.random.default_rng(settings.seed).permutation(len(logits)))
    losses = [float(loss(logits[some], masks[some].float())) for some in order.split(settings.batch_size)]
    return ValidationResult(float(np.mean(losses)), _score(patients))


def counts_of(patient: PatientLogits, threshold_logit: float = 0.0) -> SliceCounts:
    """Counts of the mask where the logit is over the threshold."""
    return count_slices(patient.logits > threshold_logit, patient.mask)


def scored_slices(patient: PatientLogits) -> ScoredSlices:
    """Slice probabilities of a classifier's logits [S]."""
    with_tumour = np.asarray(patient.mask.any(axis=(1, 2)))
    return ScoredSlices(expit(patient.logits.astype(np.float64)), with_tumour)


def _score(patients: list[PatientLogits]) -> float:
    if patients[0].logits.ndim == 1:
        return roc_auc([scored_slices(one) for one in patients])
    return float(np.mean([volumetric_dice(counts_of(one)) for one in patients]))
