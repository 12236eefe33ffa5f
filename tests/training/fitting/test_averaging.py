import torch
from torch import nn

from brain_tumor_training.fitting.averaging import PhaseEnds, measure_statistics
from training_phantom import CPU


def _network(weight: float) -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))
    nn.init.constant_(network[0].weight, weight)
    return network


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
