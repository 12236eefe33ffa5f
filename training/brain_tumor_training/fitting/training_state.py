"""Everything that changes while a network is trained, and the checkpoint that an interrupted run goes on from."""

from __future__ import annotations

from typing import Any

from torch import nn

from brain_tumor_training.fitting.averaging import PhaseEnds, StepMean
from brain_tumor_training.fitting.deep_supervision import supervised
from brain_tumor_training.fitting.optimisation import EarlyStop, RateSchedule, build_optimiser
from brain_tumor_training.recipes.settings import TrainingSettings, ValidationSettings
from brain_tumor_training.runs.run_folder import RunFolder
from BrainTumorSegLib.engine.errors import InputError

_VERSION = 2
"""Of a checkpoint's parts."""


class TrainingState:
    """Weights, their means, optimiser, early stop, and how far training has come.

    trained: the module with all weights that are learned. phase, step: of the step that comes next. steps_in_all:
    taken so far, in all phases.
    """

    def __init__(self, network: nn.Module, settings: TrainingSettings) -> None:
        """network: on its device."""
        self._network, self._settings = network, settings
        self.trained = supervised(network, settings.supervised_strides)
        self.ema = self._new_mean()
        self.ends = PhaseEnds(network)
        self.optimiser = build_optimiser(
            settings.optimiser, self.trained.parameters(), settings.phases[0].learning_rate
        )
        self.early_stop = EarlyStop(settings.validation.patience if settings.validation else None)
        self.phase, self.step, self.steps_in_all = 0, 0, 0
        self._schedule: RateSchedule | None = None
        self._kept_plateau: dict[str, Any] | None = None

    def begin_phase(self, steps: int) -> RateSchedule:
        """The schedule of the phase that comes next, at its first step or where an interrupted run left it."""
        if self.step == 0:
            # Weights learned at another sampling are no part of this phase's mean.
            self.ema = self._new_mean()
        phase, look = self._settings.phases[self.phase], self._settings.validation or ValidationSettings()
        self._schedule = RateSchedule(self.optimiser, phase, steps, self.step, look)
        if self._kept_plateau is not None:
            self._schedule.restore(self._kept_plateau)
            self._kept_plateau = None
        return self._schedule

    def end_phase(self) -> None:
        """Keeps the weights of the phase's end where they are to be averaged, and goes to the next."""
        if self.phase >= len(self._settings.phases) - self._settings.averaged_phases:
            self.ends.add(self.ema.module)
        self.phase, self.step, self._schedule = self.phase + 1, 0, None

    def save(self, run: RunFolder) -> None:
        """Writes the checkpoint."""
        run.save_checkpoint(
            {
                "version": _VERSION,
                "phase": self.phase,
                "step": self.step,
                "steps_in_all": self.steps_in_all,
                "network": self.trained.state_dict(),
                "ema": self.ema.state_dict(),
                "ends": self.ends.state(),
                "optimiser": self.optimiser.state_dict(),
                "plateau": None if self._schedule is None else self._schedule.state(),
                "early_stop": self.early_stop.state(),
            }
        )

    def resume(self, run: RunFolder) -> None:
        """Takes over a run's checkpoint, if there is one. Raises InputError for one of another version."""
        state = run.load_checkpoint()
        if state is None:
            return
        if state.get("version") != _VERSION:
            raise InputError(
                f"{run.path} was begun by another version, whose checkpoints have other parts.",
                "Choose another folder, or remove that one.",
            )
        self.phase, self.step, self.steps_in_all = state["phase"], state["step"], state["steps_in_all"]
        self.trained.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        self.ends.restore(state["ends"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._kept_plateau = state["plateau"]
        self.early_stop.restore(state["early_stop"])
        run.forget_after(self.phase, self.step)

    def _new_mean(self) -> StepMean:
        return StepMean(self._network, self._settings.ema_decay)
