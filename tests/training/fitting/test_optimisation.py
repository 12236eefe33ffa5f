import math

import pytest
import torch
from torch import nn

from brain_tumor_training.fitting.optimisation import EarlyStop, RateSchedule, build_optimiser, keras_epsilon
from brain_tumor_training.recipes.settings import OptimiserSettings, Phase, ValidationSettings
from BrainTumorSegLib.engine.errors import InputError


def _optimiser() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)


def _rates(phase: Phase, steps: int, first: int = 0) -> list[float]:
    """The rates of the steps from ``first`` on, and of one after the last."""
    optimiser = _optimiser()
    schedule = RateSchedule(optimiser, phase, steps, first)
    found = [schedule.rate]
    for _ in range(first, steps):
        optimiser.step()
        schedule.after_step()
        found.append(schedule.rate)
    return found


def test_the_cosine_starts_with_a_warm_up_and_ends_at_a_hundredth() -> None:
    """Against the formula written out."""
    phase, steps = Phase(128, 1000, 2e-3, warmup_steps=100), 1000
    found = _rates(phase, steps)
    expected = [
        2e-3 * min(1, (step + 1) / 100) * (0.01 + 0.495 * (1 + math.cos(math.pi * step / steps)))
        for step in range(steps + 1)
    ]
    assert found == pytest.approx(expected, rel=1e-12)
    assert (found[0], found[-1]) == pytest.approx((2e-5, 2e-5))
    assert max(found) < 2e-3


def test_a_schedule_goes_on_at_the_step_of_an_interrupted_run() -> None:
    phase = Phase(128, 50, 2e-3, warmup_steps=10)
    assert _rates(phase, 50, first=20) == _rates(phase, 50)[20:]


def test_a_constant_rate_stays() -> None:
    assert set(_rates(Phase(128, 5, 0.3, schedule="constant"), 5)) == {0.3}


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


def test_a_plateau_lowers_the_rate_after_more_looks_without_gain_than_its_patience() -> None:
    """By hand: two looks may fail to improve, the third halves the rate; it goes on after an interruption."""
    values = [1.0, 0.9, 0.95, 0.95, 0.93, 0.91, 0.8, 0.85, 0.85, 0.85, 0.85]
    expected = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]
    phase, look = Phase(128, 11, 1.0, schedule="plateau"), ValidationSettings(plateau_factor=0.5, plateau_patience=2)
    schedule = RateSchedule(_optimiser(), phase, 11, look=look)
    found = []
    for value in values:
        state = schedule.state()
        schedule = RateSchedule(_optimiser(), phase, 11, look=look)
        assert state is not None
        schedule.restore(state)
        schedule.after_step()
        schedule.after_look(value)
        found.append(schedule.rate)
    assert found == expected


def test_a_plateau_that_lowers_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"can't be lowered: Factor.*Correct the recipe"):
        RateSchedule(_optimiser(), Phase(128, 1, schedule="plateau"), 1, look=ValidationSettings(plateau_factor=1.0))


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
