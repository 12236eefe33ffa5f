"""The training loop: phases of growing sampling, EMA, validation, early stopping, checkpoint and resume."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.augmentation import change
from brain_tumor_training.fitting.averaging import STATISTICS_BATCHES, PhaseEnds, measure_statistics
from brain_tumor_training.fitting.deep_supervision import deep_loss, supervised
from brain_tumor_training.fitting.distributed import BatchShare, Processes
from brain_tumor_training.fitting.forward import forward
from brain_tumor_training.fitting.initialisation import set_training_mode
from brain_tumor_training.fitting.losses import loss_named
from brain_tumor_training.fitting.optimisation import EarlyStop, Plateau, build_optimiser, keras_epsilon, learning_rate
from brain_tumor_training.fitting.slice_stream import Batch, SliceStream
from brain_tumor_training.fitting.validation import ValidationResult, validate
from brain_tumor_training.recipes.settings import Phase, TrainingSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.normalisation import BACKGROUND

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 100
LOG_EVERY = 20


@dataclass(frozen=True)
class Pools:
    """The slices of one sampling: those to learn from, and those that steer (None without validation)."""

    training: SlicePool
    validation: SlicePool | None


LoadPools = Callable[[int], Pools]
"""The slices sampled at the given number of pixels."""
Progress = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, loss)."""


class Trainer:
    """Trains one network and leaves everything about it in a run folder.

    The folder gets log.csv and validation.csv, checkpoint.pt, from which an interrupted run goes on with the very
    numbers it would have had, and at the end weights.pt: the EMA weights, or the mean of those at the ends of the last
    phases where a recipe says so, or the best ones where it stops early.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: TrainingSettings,
        compute: Compute,
        run: Path,
        processes: Processes = Processes(),  # noqa: B008 - frozen
    ) -> None:
        self._settings = settings
        self._compute = compute
        self._run = RunFolder(run)
        self._processes = processes
        self._network = network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._trained = supervised(self._network, settings.supervised_strides)
        self._parallel = processes.wrap(self._trained)
        self._ema = self._new_mean()
        self._ends = PhaseEnds(self._network)
        self._optimiser = build_optimiser(
            settings.optimiser, self._trained.parameters(), settings.phases[0].learning_rate
        )
        self._epsilon = float(self._optimiser.param_groups[0]["eps"])
        self._loss = loss_named(settings.loss)
        self._training_loss = deep_loss(self._loss) if settings.supervised_strides else self._loss
        self._phase, self._step, self._steps_in_all = 0, 0, 0
        look = settings.validation
        self._plateau = Plateau(look.plateau_factor, look.plateau_patience) if look else Plateau(1.0, 0)
        self._stop = EarlyStop(look.patience if look else None)

    def fit(
        self,
        load: LoadPools,
        workers: int = 0,
        on_progress: Progress = lambda _done, _all, _loss: None,
        stop_after: int | None = None,
    ) -> Path | None:
        """Runs what is left and returns the path of the finished weights.

        stop_after: a number of steps of this call after which it ends with a checkpoint, as if interrupted; then None.
        """
        self._run.path.mkdir(parents=True, exist_ok=True)
        self._resume()
        budget = math.inf if stop_after is None else stop_after
        while self._phase < len(self._settings.phases) and not self._stop.is_due:
            budget = self._run_phase(self._settings.phases[self._phase], load, workers, on_progress, budget)
            if budget <= 0:
                self._save_checkpoint()
                return None
            self._end_phase()
        if self._processes.is_first:
            self._run.finish(self._final_weights(load))
        self._processes.wait()
        return self._run.weights

    def _run_phase(self, phase: Phase, load: LoadPools, workers: int, on_progress: Progress, budget: float) -> float:
        """Steps through one phase; returns what is left of the budget, 0 or less if it did not last."""
        if self._step == 0:
            # Weights learned at another sampling are no part of this phase's mean.
            self._ema = self._new_mean()
        pools = load(phase.size_px)
        per_epoch = math.ceil(len(pools.training) / self._settings.batch_size)
        steps = phase.steps if phase.steps is not None else (phase.epochs or 0) * per_epoch
        look_every = self._look_every(per_epoch)
        set_training_mode(self._trained)
        started, losses = time.monotonic(), []
        share = BatchShare(steps, self._settings.batch_size, self._step, self._processes)
        for batch in self._batches(pools.training, phase, share, workers):
            losses.append(self._train_step(*self._changed(batch, phase), self._rate(phase, steps)))
            self._step += 1
            self._steps_in_all += 1
            budget -= 1
            on_progress(self._step, steps, losses[-1])
            if self._step % LOG_EVERY == 0 or self._step == steps:
                rate = len(losses) * self._settings.batch_size / max(time.monotonic() - started, 1e-9)
                self._log(sum(losses) / len(losses), self._rate(phase, steps), rate)
                started, losses = time.monotonic(), []
            if pools.validation is not None and (self._step % look_every == 0 or self._step == steps):
                self._look(pools.validation)
                if self._stop.is_due:
                    return budget
            if self._step % CHECKPOINT_EVERY == 0:
                self._save_checkpoint()
            if budget <= 0 and self._step < steps:
                return budget
        return max(budget, 1)

    def _end_phase(self) -> None:
        if self._phase >= len(self._settings.phases) - self._settings.averaged_phases:
            self._ends.add(self._ema.module)
        self._phase, self._step = self._phase + 1, 0
        self._save_checkpoint()

    def _new_mean(self) -> AveragedModel:
        mean = get_ema_multi_avg_fn(self._settings.ema_decay)
        return AveragedModel(self._network, multi_avg_fn=mean, use_buffers=True)

    def _look_every(self, per_epoch: int) -> int:
        look = self._settings.validation
        return look.every_steps if look is not None and look.every_steps is not None else per_epoch

    def _batches(self, pool: SlicePool, phase: Phase, share: BatchShare, workers: int) -> Iterator[Batch]:
        settings = self._settings
        seed = settings.seed + self._phase
        stream = SliceStream(pool, settings, phase.size_px, share.samples, seed, phase.crop_px)
        yield from DataLoader(
            stream,
            batch_sampler=share,
            num_workers=workers,
            prefetch_factor=6 if workers else None,
            collate_fn=Batch.of,
        )

    def _changed(self, batch: Batch, phase: Phase) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch as the network sees it, on the device: image with background -1, and mask."""
        device = self._compute.device
        image, mask = batch.image.to(device), batch.mask.to(device)
        image, mask = change(image, mask, batch.changes, phase.crop_px or phase.size_px)
        return image + BACKGROUND, mask

    def _rate(self, phase: Phase, steps: int) -> float:
        if phase.schedule == "plateau":
            return phase.learning_rate * self._plateau.scale
        return learning_rate(phase, self._step, steps)

    def _train_step(self, image: torch.Tensor, mask: torch.Tensor, rate: float) -> float:
        # What is random in the network (dropout) hangs on the step alone, so that a resumed run repeats it.
        torch.manual_seed(self._settings.seed + 7919 * self._steps_in_all + self._processes.rank)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
            if self._settings.optimiser.keras_epsilon:
                group["eps"] = keras_epsilon(self._epsilon, group["betas"][1], self._steps_in_all + 1)
        loss = self._training_loss(forward(self._parallel, image, self._compute), mask)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self._settings.gradient_norm is not None:
            nn.utils.clip_grad_norm_(self._trained.parameters(), self._settings.gradient_norm)
        self._optimiser.step()
        self._ema.update_parameters(self._network)
        return float(loss.detach())

    def _look(self, pool: SlicePool) -> None:
        """Validate; normalisation statistics differ a little between processes, so that the first decides for all."""
        look = self._settings.validation
        if look is None:
            return
        found = ValidationResult(0.0, 0.0)
        if self._processes.is_first:
            found = validate(self._ema.module, pool, self._settings, self._loss, self._compute)
        loss, score = self._processes.from_first([found.loss, found.score], self._compute.device)
        value = loss if look.monitor == "loss" else -score
        self._plateau.look(value)
        is_best = self._stop.look(value)
        if self._processes.is_first:
            self._run.log_validation(self._phase, self._step, loss, score)
            if is_best:
                self._run.save_best(self._ema.module.state_dict())
        logger.info("phase %d step %d validation loss %.4f score %.4f", self._phase, self._step, loss, score)

    def _log(self, loss: float, rate: float, slices_per_s: float) -> None:
        if self._processes.is_first:
            self._run.log(self._phase, self._step, loss, rate, slices_per_s)
        logger.info("phase %d step %d loss %.4f %.1f slices/s", self._phase, self._step, loss, slices_per_s)

    def _final_weights(self, load: LoadPools) -> dict[str, torch.Tensor]:
        """The best weights where the recipe keeps them, or else the mean of the last phases' ends."""
        if self._settings.keeps_best:
            return self._run.load_best()
        mean = self._ends.network
        if self._settings.averaged_phases > 1:
            torch.manual_seed(self._settings.seed)
            measure_statistics(mean, self._images_for_statistics(load), self._compute)
        return mean.state_dict()

    def _images_for_statistics(self, load: LoadPools) -> Iterator[torch.Tensor]:
        """Such as the last phase showed, but others; all in this process."""
        phase = self._settings.phases[-1]
        share = BatchShare(STATISTICS_BATCHES, self._settings.batch_size, 0, Processes())
        for batch in self._batches(load(phase.size_px).training, phase, share, workers=0):
            yield self._changed(batch, phase)[0]

    def _save_checkpoint(self) -> None:
        if not self._processes.is_first:
            return
        self._run.save_checkpoint(
            {
                "phase": self._phase,
                "step": self._step,
                "steps_in_all": self._steps_in_all,
                "network": self._trained.state_dict(),
                "ema": self._ema.state_dict(),
                "ends": self._ends.state(),
                "optimiser": self._optimiser.state_dict(),
                "plateau": self._plateau.state(),
                "early_stop": self._stop.state(),
            }
        )

    def _resume(self) -> None:
        state: dict[str, Any] | None = self._run.load_checkpoint(self._compute.device)
        if state is None:
            return
        self._phase, self._step = state["phase"], state["step"]
        self._steps_in_all = state.get("steps_in_all", self._step)
        self._trained.load_state_dict(state["network"])
        self._ema.load_state_dict(state["ema"])
        if "ends" not in state:
            raise InputError(
                f"{self._run.path} was begun by an earlier version, whose checkpoints lack the ends of phases.",
                "Choose another folder, or remove that one.",
            )
        self._ends.restore(state["ends"])
        self._optimiser.load_state_dict(state["optimiser"])
        if "plateau" in state:
            self._plateau.restore(state["plateau"])
            self._stop.restore(state["early_stop"])
        self._run.forget_after(self._phase, self._step)
