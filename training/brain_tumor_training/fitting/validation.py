"""A look at slices that training does not see, in the training process: for steering, not for results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.losses import Loss
from brain_tumor_training.fitting.prediction import PatientLogits, predict
from brain_tumor_training.metrics.overlap import SliceCounts, count_slices, volumetric_dice
from brain_tumor_training.metrics.slice_classification import ScoredSlices, roc_auc
from brain_tumor_training.recipes.settings import TrainingSettings
from BrainTumorSegLib.engine.inference.device import Compute

_MAPS_NDIM = 3


@dataclass(frozen=True)
class ValidationResult:
    """loss: mean over batches. score: mean volumetric Dice at probability 0.5, or ROC AUC of a slice classifier."""

    loss: float
    score: float


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
