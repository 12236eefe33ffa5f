import pytest
import torch
from torch import nn

from BrainTumorSegLib.engine.networks.efficientnet_lite import HalvingConv2d
from BrainTumorSegLib.engine.networks.folding import folded
from BrainTumorSegLib.engine.networks.registry import NETWORKS, build_network


def _lively(network: nn.Module) -> nn.Module:
    """Batch normalisations get statistics as training leaves them: folding must use every one of them."""
    torch.manual_seed(11)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "ResNet50Classifier"])
def test_a_folded_network_computes_the_same(name: str) -> None:
    network = _lively(build_network(name, {"input_channels": 3}))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = network(x), folded(network)(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_the_residual_blocks_and_gates_lose_their_batch_normalisation() -> None:
    network = build_network("ResUNetPlusPlus", {})
    before = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    after = sum(isinstance(module, nn.BatchNorm2d) for module in folded(network).modules())
    # Left: two of the stem, which follow a ReLU, and one of the bridge, inside a block of its own.
    assert (before, after) == (39, 3)


@pytest.mark.parametrize(
    ("name", "left"),
    # Of the network: one of the bridge, inside a block of its own.
    [("EfficientNetLite0Classifier", 0), ("ResUNetPlusPlusLite0", 1)],
)
def test_no_batch_normalisation_of_the_light_encoder_is_left(name: str, left: int) -> None:
    modules = folded(build_network(name, {})).modules()
    assert sum(isinstance(module, nn.BatchNorm2d) for module in modules) == left


def test_the_original_stays_as_it_was() -> None:
    network = build_network("ResUNet", {})
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded(network)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(("kernel", "groups"), [(3, 1), (3, 6), (5, 6)])
def test_even_padding_gives_the_same_numbers_as_the_uneven_one(kernel: int, groups: int) -> None:
    uneven = HalvingConv2d(6, 6, kernel, 2, groups=groups)
    x = torch.randn(2, 6, 32, 24, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        torch.testing.assert_close(uneven.evenly_padded()(x), uneven(x), rtol=1e-5, atol=1e-6)


def test_no_uneven_padding_is_left() -> None:
    modules = list(folded(build_network("ResUNetPlusPlusInStudy", {})).modules())
    assert not any(isinstance(module, HalvingConv2d) for module in modules)
