"""The training loop: phases of growing sampling, EMA, validation, early stopping."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.averaging import measure_statistics
from brain_tumor_training.fitting.batches import BatchSource, LoadPools
from brain_tumor_training.fitting.deep_supervision import deep_loss
from brain_tumor_training.fitting.distributed import BatchShare, Processes
from brain_tumor_training.fitting.forward import forward
from brain_tumor_training.fitting.initialisation import set_training_mode
from brain_tumor_training.fitting.losses import loss_named
from brain_tumor_training.fitting.optimisation import RateSchedule, keras_epsilon
from brain_tumor_training.fitting.training_state import TrainingState
from brain_tumor_training.fitting.validation import ValidationResult, validate
from brain_tumor_training.recipes.settings import TrainingSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.inference.device import Compute

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 100
LOG_EVERY = 20


Progress = Callable[[int, int, Callable[[], float]], None]
"""Called after each step with (steps done, steps in all, a function that reads its loss).

On a GPU the step is still running: to read its loss is to wait for it, so who shows it does so now and then.
"""


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
        network = network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network
        self._state = TrainingState(network, settings)
        self._parallel = processes.wrap(self._state.trained)
        self._batches = BatchSource(settings, compute.device)
        self._epsilon = float(self._state.optimiser.param_groups[0]["eps"])
        self._loss = loss_named(settings.loss)
        self._training_loss = deep_loss(self._loss) if settings.supervised_strides else self._loss

    def fit(
        self,
        load: LoadPools,
        on_progress: Progress = lambda _done, _all, _loss: None,
        stop_after: int | None = None,
    ) -> Path | None:
        """Runs what is left and returns the path of the finished weights.

        stop_after: a number of steps of this call after which it ends with a checkpoint, as if interrupted; then None.
        """
        self._run.path.mkdir(parents=True, exist_ok=True)
        state = self._state
        state.resume(self._run)
        budget = math.inf if stop_after is None else stop_after
        while state.phase < len(self._settings.phases) and not state.early_stop.is_due:
            budget = self._run_phase(load, on_progress, budget)
            if budget > 0:
                state.end_phase()
            self._save_checkpoint()
            if budget <= 0:
                return None
        if self._processes.is_first:
            self._run.finish(self._final_weights(load))
        self._processes.wait()
        return self._run.weights

    def _run_phase(self, load: LoadPools, on_progress: Progress, budget: float) -> float:
        """Steps through one phase; returns what is left of the budget, 0 or less if it did not last."""
        state, phase = self._state, self._settings.phases[self._state.phase]
        pools = load(phase.size_px)
        per_epoch = math.ceil(len(pools.training) / self._settings.batch_size)
        steps = phase.steps if phase.steps is not None else (phase.epochs or 0) * per_epoch
        look_every = self._look_every(per_epoch)
        schedule = state.begin_phase(steps)
        set_training_mode(state.trained)
        started = time.monotonic()
        losses: list[torch.Tensor] = []
        share = BatchShare(steps, self._settings.batch_size, state.step, self._processes)
        for image, mask in self._batches.of_phase(pools.training, state.phase, share):
            losses.append(self._train_step(image, mask))
            schedule.after_step()
            state.step += 1
            state.steps_in_all += 1
            budget -= 1
            on_progress(state.step, steps, losses[-1].item)
            if state.step % LOG_EVERY == 0 or state.step == steps:
                loss = sum(torch.stack(losses).tolist()) / len(losses)  # waits for the steps, which the rate counts
                slices_per_s = len(losses) * self._settings.batch_size / max(time.monotonic() - started, 1e-9)
                self._log(loss, schedule.rate, slices_per_s)
                started, losses = time.monotonic(), []
            if pools.validation is not None and (state.step % look_every == 0 or state.step == steps):
                self._look(pools.validation, schedule)
                if state.early_stop.is_due:
                    return budget
            if state.step % CHECKPOINT_EVERY == 0:
                self._save_checkpoint()
            if budget <= 0 and state.step < steps:
                return budget
        return max(budget, 1)

    def _look_every(self, per_epoch: int) -> int:
        look = self._settings.validation
        return look.every_steps if look is not None and look.every_steps is not None else per_epoch

    def _train_step(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Learns from a batch; returns its loss, still on the device: a GPU goes on while the next batch is drawn."""
        # What is random in the network (dropout) hangs on the step alone, so that a resumed run repeats it.
        torch.manual_seed(self._settings.seed + 7919 * self._state.steps_in_all + self._processes.rank)
        if self._settings.optimiser.keras_epsilon:
            for group in self._state.optimiser.param_groups:
                group["eps"] = keras_epsilon(self._epsilon, group["betas"][1], self._state.steps_in_all + 1)
        loss = self._training_loss(forward(self._parallel, image, self._compute), mask)
        self._state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self._settings.gradient_norm is not None:
            nn.utils.clip_grad_norm_(self._state.trained.parameters(), self._settings.gradient_norm)
        self._state.optimiser.step()
        self._state.ema.update_parameters(self._network)
        return loss.detach()

    def _look(self, pool: SlicePool, schedule: RateSchedule) -> None:
        """Validate; normalisation statistics differ a little between processes, so that the first decides for all."""
        look = self._settings.validation
        if look is None:
            return
        found = ValidationResult(0.0, 0.0)
        if self._processes.is_first:
            found = validate(self._state.ema.module, pool, self._settings, self._loss, self._compute)
        loss, score = self._processes.from_first([found.loss, found.score], self._compute.device)
        value = loss if look.monitor == "loss" else -score
        schedule.after_look(value)
        is_best = self._state.early_stop.look(value)
        if self._processes.is_first:
            self._run.log_validation(self._state.phase, self._state.step, loss, score)
            if is_best:
                self._run.save_best(self._state.ema.module.state_dict())
        logger.info(
            "phase %d step %d validation loss %.4f score %.4f", self._state.phase, self._state.step, loss, score
        )

    def _log(self, loss: float, rate: float, slices_per_s: float) -> None:
        if self._processes.is_first:
            self._run.log(self._state.phase, self._state.step, loss, rate, slices_per_s)
        logger.info("phase %d step %d loss %.4f %.1f slices/s", self._state.phase, self._state.step, loss, slices_per_s)

    def _final_weights(self, load: LoadPools) -> dict[str, torch.Tensor]:
        """The best weights where the recipe keeps them, or else the mean of the last phases' ends."""
        if self._settings.keeps_best:
            return self._run.load_best()
        mean = self._state.ends.network
        if self._settings.averaged_phases > 1:
            torch.manual_seed(self._settings.seed)
            measure_statistics(
                mean, self._batches.for_statistics(load(self._settings.phases[-1].size_px).training), self._compute
            )
        return mean.state_dict()

    def _save_checkpoint(self) -> None:
        if self._processes.is_first:
            self._state.save(self._run)
