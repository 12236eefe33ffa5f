"""Optimisers and learning rates of the recipes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from brain_tumor_training.recipes.settings import OptimiserSettings, Phase, ValidationSettings
from BrainTumorSegLib.engine.errors import InputError

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "nadam": torch.optim.NAdam,
}


def build_optimiser(
    settings: OptimiserSettings, parameters: Iterable[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """The optimiser over the parameters that may change. Raises InputError for an unknown name or argument."""
    if settings.name not in OPTIMISERS:
        raise InputError(f"There is no optimiser '{settings.name}'.", f"Choose one of {', '.join(OPTIMISERS)}.")
    try:
        return OPTIMISERS[settings.name](
            [one for one in parameters if one.requires_grad],
            lr=learning_rate,  # type: ignore[call-arg]
            **settings.arguments,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"The optimiser {settings.name} can't be built: {error}.", "Correct the recipe.") from error


def rate_factor(phase: Phase, step: int, steps: int) -> float:
    """What a phase without plateaus multiplies its learning rate by, before the given step (from 0) of ``steps``.

    Linear warm-up times a cosine from 1 to a hundredth; 1 for a constant rate.
    """
    if phase.schedule == "constant":
        return 1.0
    warm = min(1.0, (step + 1) / max(1, phase.warmup_steps))
    progress = step / max(1, steps)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class RateSchedule:
    """A phase's learning rate, set in the optimiser by PyTorch's schedulers.

    A phase with plateaus lowers it after looks at the validation slices (ReduceLROnPlateau), another after each step
    (LambdaLR).
    """

    def __init__(
        self,
        optimiser: torch.optim.Optimizer,
        phase: Phase,
        steps: int,
        step: int = 0,
        look: ValidationSettings = ValidationSettings(),  # noqa: B008 - frozen
    ) -> None:
        """steps: of the phase. step: the one that comes next. Raises InputError for a plateau_factor of 1 or more."""
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] = phase.learning_rate
        self._optimiser = optimiser
        self._by_step: LambdaLR | None = None
        self._by_look: ReduceLROnPlateau | None = None
        if phase.schedule != "plateau":
            self._by_step = LambdaLR(optimiser, lambda number: rate_factor(phase, number, steps), step - 1)
            return
        try:
            # Neither a least gain nor a least reduction: as the published recipes have it.
            self._by_look = ReduceLROnPlateau(
                optimiser, factor=look.plateau_factor, patience=look.plateau_patience, threshold=0.0, eps=0.0
            )
        except ValueError as error:
            raise InputError(f"The learning rate can't be lowered: {error}", "Correct the recipe.") from error

    @property
    def rate(self) -> float:
        """Of the step that comes next."""
        return float(self._optimiser.param_groups[0]["lr"])

    def after_step(self) -> None:
        """To be called after each step of the optimiser."""
        if self._by_step is not None:
            self._by_step.step()

    def after_look(self, value: float) -> None:
        """Takes note of a monitored value of which lower is better."""
        if self._by_look is not None:
            self._by_look.step(value)

    def state(self) -> dict[str, Any] | None:
        """For a checkpoint: of a phase with plateaus; any other's rate follows from its step."""
        return None if self._by_look is None else self._by_look.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint of the same phase."""
        if self._by_look is None:
            return
        self._by_look.load_state_dict(state)
        for group, rate in zip(self._optimiser.param_groups, self._by_look.get_last_lr(), strict=True):
            group["lr"] = rate


def keras_epsilon(epsilon: float, beta2: float, step: int) -> float:
    """The epsilon for PyTorch's Adam at a step (from 1) that does what Keras' Adam does with ``epsilon``.

    Keras: m_hat-rate * m / (sqrt(v) + epsilon) with rate lr * sqrt(1 - beta2^t) / (1 - beta1^t); PyTorch divides by
    sqrt(v / (1 - beta2^t)) + epsilon. Equal if PyTorch's epsilon is Keras' divided by sqrt(1 - beta2^t).
    """
    return epsilon / math.sqrt(1 - beta2**step)


class EarlyStop:
    """Remembers whether the monitored value is the best so far, and says when it has stood still for too long."""

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._best, self._waited = math.inf, 0

    def look(self, value: float) -> bool:
        """Take note of a value of which lower is better; returns whether it is the best so far."""
        if value < self._best:
            self._best, self._waited = value, 0
            return True
        self._waited += 1
        return False

    @property
    def is_due(self) -> bool:
        """Whether training should stop."""
        return self._patience is not None and self._waited >= self._patience

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"best": self._best, "waited": self._waited}

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self._best, self._waited = state["best"], int(state["waited"])
