import math

import pytest
import torch
from torch import nn

from brain_tumor_training.fitting.optimisation import EarlyStop, Plateau, build_optimiser, keras_epsilon, learning_rate
from brain_tumor_training.recipes.settings import OptimiserSettings, Phase
from BrainTumorSegLib.engine.errors import InputError


def test_the_cosine_starts_with_a_warm_up_and_ends_at_a_hundredth() -> None:
    phase = Phase(128, 1000, 2e-3, warmup_steps=100)
    assert learning_rate(phase, 0, 1000) == pytest.approx(2e-5)
    assert max(learning_rate(phase, step, 1000) for step in range(1000)) < 2e-3
    assert learning_rate(phase, 1000, 1000) == pytest.approx(2e-5)


def test_keras_epsilon_makes_adam_step_as_keras_does() -> None:
    """Keras' own update, written out, against PyTorch's Adam with the converted epsilon."""
    lr, epsilon, beta1, beta2 = 0.05, 0.1, 0.9, 0.999
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    adam = torch.optim.Adam([weight], lr=lr, betas=(beta1, beta2), eps=epsilon)
    mine, m, v = weight.detach().clone(), torch.zeros(2).double(), torch.zeros(2).double()
    for step in range(1, 6):
        gradient = torch.tensor([0.03 * step, -0.01], dtype=torch.float64)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        mine -= lr * math.sqrt(1 - beta2**step) / (1 - beta1**step) * m / (v.sqrt() + epsilon)
        weight.grad = gradient
        adam.param_groups[0]["eps"] = keras_epsilon(epsilon, beta2, step)
        adam.step()
    torch.testing.assert_close(weight.detach(), mine)


def test_plateau_falls_as_pytorchs_does() -> None:
    values = [1.0, 0.9, 0.95, 0.95, 0.93, 0.91, 0.8, 0.85, 0.85, 0.85, 0.85]
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=2, threshold=0.0)
    ours = Plateau(0.5, 2)
    for value in values:
        theirs.step(value)
        ours.look(value)
        assert ours.scale == optimiser.param_groups[0]["lr"]
    assert ours.scale == 0.25


def test_early_stop_is_due_after_patience_looks_without_improvement() -> None:
    stop = EarlyStop(2)
    seen = [(stop.look(value), stop.is_due) for value in (3.0, 2.0, 2.5, 2.0)]
    assert seen == [(True, False), (True, False), (False, False), (False, True)]
    restored = EarlyStop(2)
    restored.restore(stop.state())
    assert restored.is_due


def test_frozen_parameters_are_left_out() -> None:
    layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    layers[0].requires_grad_(False)
    optimiser = build_optimiser(OptimiserSettings("nadam", {}), layers.parameters(), 1e-3)
    assert isinstance(optimiser, torch.optim.NAdam)
    assert len(optimiser.param_groups[0]["params"]) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (OptimiserSettings("sgdx", {}), r"no optimiser 'sgdx'.*adamw, adam, nadam"),
        (OptimiserSettings("adam", {"speed": 3}), r"adam can't be built.*speed"),
    ],
    ids=["name", "argument"],
)
def test_wrong_optimisers_are_refused(settings: OptimiserSettings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_optimiser(settings, [nn.Parameter(torch.zeros(1))], 1e-3)
