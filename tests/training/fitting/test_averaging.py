import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from brain_tumor_training.fitting.averaging import PhaseEnds, StepMean, measure_statistics
from training_phantom import CPU


def _network(weight: float) -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))
    nn.init.constant_(network[0].weight, weight)
    return network


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.998])
def test_the_mean_over_steps_is_torchs(decay: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    mean = StepMean(network, decay)
    expected = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for _ in range(6):
        network(torch.randn(4, 2, 8, 8))  # moves the buffers
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        mean.update_parameters(network)
        expected.update_parameters(network)
        found = mean.state_dict()
        assert list(found) == list(expected.state_dict())
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.state_dict().items())


def test_every_end_weighs_the_same() -> None:
    ends = PhaseEnds(_network(100))
    for weight in (1.0, 2.0, 6.0):
        ends.add(_network(weight))
    torch.testing.assert_close(ends.network[0].weight.flatten(), torch.tensor([3.0]))


def test_a_restored_mean_goes_on() -> None:
    first, second = PhaseEnds(_network(0)), PhaseEnds(_network(0))
    first.add(_network(1))
    second.restore(first.state())
    second.add(_network(4))
    torch.testing.assert_close(second.network[0].weight.flatten(), torch.tensor([2.5]))


def test_statistics_are_those_of_the_networks_own_activations() -> None:
    images = [torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) + 1 for seed in range(20)]
    network = _network(3.0).eval()
    measure_statistics(network, images, CPU)
    activations = 3.0 * torch.stack(images)
    norm = network[1]
    torch.testing.assert_close(norm.running_mean, activations.mean().reshape(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, activations.flatten(1).var(1).mean().reshape(1), rtol=1e-3, atol=0)
    assert not network.training
    assert norm.momentum == nn.BatchNorm2d(1).momentum
