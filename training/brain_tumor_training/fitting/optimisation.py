"""Optimisers and learning rates of the recipes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from brain_tumor_training.recipes.settings import OptimiserSettings, Phase
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


def learning_rate(phase: Phase, step: int, steps: int) -> float:
    """Of a phase without plateaus: linear warm-up, then a cosine from its learning rate to a hundredth of it."""
    if phase.schedule == "constant":
        return phase.learning_rate
    warm = min(1.0, (step + 1) / max(1, phase.warmup_steps))
    progress = step / max(1, steps)
    return phase.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def keras_epsilon(epsilon: float, beta2: float, step: int) -> float:
    """The epsilon for PyTorch's Adam at a step (from 1) that does what Keras' Adam does with ``epsilon``.

    Keras: m_hat-rate * m / (sqrt(v) + epsilon) with rate lr * sqrt(1 - beta2^t) / (1 - beta1^t); PyTorch divides by
    sqrt(v / (1 - beta2^t)) + epsilon. Equal if PyTorch's epsilon is Keras' divided by sqrt(1 - beta2^t).
    """
    return epsilon / math.sqrt(1 - beta2**step)


class Plateau:
    """Multiplies the learning rate by ``factor`` when the monitored value stood still for more than ``patience`` looks.

    Its whole state is plain numbers, for checkpoints.
    """

    def __init__(self, factor: float, patience: int) -> None:
        self._factor, self._patience = factor, patience
        self.scale, self._best, self._waited = 1.0, math.inf, 0

    def look(self, value: float) -> None:
        """Take note of a value of which lower is better."""
        if value < self._best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited > self._patience:
            self.scale, self._waited = self.scale * self._factor, 0

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"scale": self.scale, "best": self._best, "waited": self._waited}

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self.scale, self._best, self._waited = state["scale"], state["best"], int(state["waited"])


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
