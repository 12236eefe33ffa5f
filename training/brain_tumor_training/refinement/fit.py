"""Teach a network that knows slices to know studies: the training of a refiner."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from brain_tumor_training.fitting.optimisation import RateSchedule
from brain_tumor_training.fitting.trainer import LOG_EVERY, Progress
from brain_tumor_training.recipes.settings import Phase
from brain_tumor_training.refinement.logits import LOSS_PX, HeldOutLogits
from brain_tumor_training.refinement.samples import StudySample, StudyStream, load_patients
from brain_tumor_training.refinement.settings import RefinementSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.device import Compute, choose
from BrainTumorSegLib.engine.inference.refinement import COARSE_PX
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.networks.study_refiner import StudyRefiner

NETWORK = "ResUNetPlusPlusInStudy"
SLICE_NETWORK = "ResUNetPlusPlusLite0"
REFINEMENT = "refinement.json"

_SMOOTH = 50.0
"""Blocks added to both sides of the soft Dice: a part of a stack may hold no tumour."""
_GRADIENT_NORM = 1.0
_SHALLOWEST_REDUCED = 9
"""Slabs from which a study may be computed in bfloat16. PyTorch 2.13's CPU build gives arbitrary gradients, NaN among
them, for a 3D convolution in bfloat16 that is deeper than its input, as the lowest level is below this.
"""


@dataclass(frozen=True)
class RefineRequest:
    """slices: a finished run of SLICE_NETWORK, whose network is kept and whose training patients are learned from.

    held_out_by: runs of the same recipe, for each patient one that held the patient out. logits: folder for what
    they say, shared by all refiners. run: the new run's folder.
    """

    slices: Path
    held_out_by: Sequence[Path]
    cache: Path
    logits: Path
    run: Path
    settings: RefinementSettings = RefinementSettings()
    device: str = "auto"


def refine_run(request: RefineRequest, on_progress: Progress = lambda _done, _all, _loss: None) -> Path:
    """Trains a refiner, or goes on where it was interrupted, and returns the weights of the finished run.

    The run's network is NETWORK; refinement.json keeps how its refiner learned. Raises InputError for a run of another
    network, and for a patient whom no run held out.
    """
    slices, target = RunFolder(request.slices), RunFolder(request.run)
    slices.require_finished()
    settings, split = slices.settings(), slices.split()
    if settings.network != SLICE_NETWORK:
        raise InputError(
            f"{request.slices} is a run of {settings.network}, not of {SLICE_NETWORK}.",
            "Give a run of release_segmentation.",
        )
    compute = choose(request.device)
    target.begin(replace(settings, network=NETWORK), split, compute)
    (request.run / REFINEMENT).write_text(json.dumps(asdict(request.settings), indent=1) + "\n")
    if target.is_finished:
        return target.weights
    held_out = HeldOutLogits(request.logits, request.held_out_by, request.settings.views, compute)
    patients = load_patients(request.cache, sorted({*split.training, *split.validation}), held_out)
    stream = StudyStream(patients, request.settings, compute.device)
    refiner = _Refining(stream, request.settings, target, compute).fit(on_progress)
    network = build_network(NETWORK, settings.arguments)
    network.get_submodule("slices").load_state_dict(slices.finished_weights())
    network.get_submodule("refiner").load_state_dict(refiner.state_dict())
    target.finish(network.state_dict())
    return target.weights


def study_loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - soft volumetric Dice of one study [D, H, W], plus twice the binary cross-entropy.

    Dice over the patient's whole volume: the very measure by which a segmentation is judged.
    """
    probability = logits.sigmoid()
    dice = (2 * (probability * mask).sum() + _SMOOTH) / (probability.sum() + mask.sum() + _SMOOTH)
    return 1 - dice + 2 * functional.binary_cross_entropy_with_logits(logits, mask)


class _Refining:
    """The loop: batches of whole studies, one after another, for they differ in size."""

    def __init__(self, stream: StudyStream, settings: RefinementSettings, run: RunFolder, compute: Compute) -> None:
        torch.manual_seed(settings.seed)
        self._stream, self._settings, self._run, self._compute = stream, settings, run, compute
        self._network = StudyRefiner().to(compute.device)
        self._ema = AveragedModel(self._network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay))
        self._optimiser = torch.optim.AdamW(self._network.parameters(), weight_decay=settings.weight_decay)
        self._phase = Phase(COARSE_PX, settings.steps, settings.learning_rate, settings.warmup_steps)
        self._step = 0

    def fit(self, on_progress: Progress) -> nn.Module:
        """Runs what is left; returns the averaged network."""
        self._resume()
        schedule = RateSchedule(self._optimiser, self._phase, self._settings.steps, self._step)
        started, losses, slices = time.monotonic(), [], 0
        while self._step < self._settings.steps:
            samples = self._batch()
            losses.append(self._train_step(samples))
            schedule.after_step()
            slices += sum(len(one.mask) for one in samples)
            self._step += 1
            on_progress(self._step, self._settings.steps, partial(float, losses[-1]))
            if self._step % LOG_EVERY == 0 or self._step == self._settings.steps:
                rate = slices / max(time.monotonic() - started, 1e-9)
                self._run.log(0, self._step, math.fsum(losses) / len(losses), schedule.rate, rate)
                started, losses, slices = time.monotonic(), [], 0
            if self._step % self._settings.checkpoint_every == 0:
                self._save_checkpoint()
        return self._ema.module

    def _batch(self) -> list[StudySample]:
        size = self._settings.batch_size
        return [self._stream[index] for index in range(self._step * size, (self._step + 1) * size)]

    def _train_step(self, samples: Sequence[StudySample]) -> float:
        self._optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for sample in samples:
            loss = study_loss(self._corrected(sample), sample.mask) / len(samples)
            loss.backward()
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self._network.parameters(), _GRADIENT_NORM)
        self._optimiser.step()
        self._ema.update_parameters(self._network)
        return total

    def _corrected(self, sample: StudySample) -> torch.Tensor:
        """The sample's logits [D, 2H, 2W] with the network's correction."""
        compute = self._compute
        reduced = compute.precision is not torch.float32 and sample.seen.shape[1] >= _SHALLOWEST_REDUCED
        with torch.autocast(compute.device.type, compute.precision, enabled=reduced):
            correction = self._network(sample.seen[None])
        fine = functional.interpolate(
            correction[0].float().transpose(0, 1), scale_factor=LOSS_PX // COARSE_PX, mode="bilinear"
        )
        return sample.logits + fine[:, 0]

    def _save_checkpoint(self) -> None:
        self._run.save_checkpoint(
            {
                "step": self._step,
                "network": self._network.state_dict(),
                "ema": self._ema.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            }
        )

    def _resume(self) -> None:
        state = self._run.load_checkpoint()
        if state is None:
            return
        self._network.load_state_dict(state["network"])
        self._ema.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._step = state["step"]
        self._run.forget_after(0, self._step)
