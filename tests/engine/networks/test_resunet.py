"""ResUNet against the layer table that Deng et al. print (table 2) and the Keras code both papers build on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from BrainTumorSegLib.engine.networks.resunet import ResidualBlock, ResUNet
from network_measures import build_on_meta, convolution_macs_at_256, keras_total, shapes_at_256, trainable


def test_total_is_the_published_one():
    network = ResUNet(input_channels=3)
    assert keras_total(network) == 1_210_513
    assert trainable(network) == 1_206_129


def test_every_layer_has_its_published_size():
    network = ResUNet(input_channels=3)
    layers = [network.stem, *network.encoder, *network.decoder, network.output]
    expected = [2_896, 10_720, 41_920, 165_760, 659_200, 247_680, 62_400, 15_840, 4_080, 17]
    assert [keras_total(layer) for layer in layers] == expected


def test_every_layer_works_at_its_published_resolution():
    network = build_on_meta("ResUNet")
    layers = [network.stem, *network.encoder, *network.decoder, network.output]
    assert shapes_at_256(network, layers) == [
        (16, 256, 256),
        (32, 128, 128),
        (64, 64, 64),
        (128, 32, 32),
        (256, 16, 16),
        (128, 32, 32),
        (64, 64, 64),
        (32, 128, 128),
        (16, 256, 256),
        (1, 256, 256),
    ]


def test_a_slice_costs_1_858_billion_multiplications():
    assert round(convolution_macs_at_256(build_on_meta("ResUNet")) / 1e9, 3) == 1.858


def test_residual_block_follows_the_published_order():
    """Conv1x1-BN-ReLU-Conv3x3-BN plus Conv1x1-BN, then ReLU, written out with plain functions."""
    torch.manual_seed(1)
    block = ResidualBlock(4, 6).double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    state = block.state_dict()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)

    def norm(y, name):
        scale = state[f"{name}.weight"] / (state[f"{name}.running_var"] + 1e-5).sqrt()
        shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
        return y * scale[:, None, None] + shift[:, None, None]

    main = norm(functional.conv2d(x, state["main.0.weight"], state["main.0.bias"]), "main.1").clamp(min=0)
    main = norm(functional.conv2d(main, state["main.3.weight"], state["main.3.bias"], padding=1), "main.4")
    short = norm(functional.conv2d(x, state["shortcut.0.weight"], state["shortcut.0.bias"]), "shortcut.1")
    torch.testing.assert_close(block(x), (main + short).clamp(min=0))


@pytest.mark.parametrize("channels", [1, 9])
def test_only_the_stem_grows_with_the_input_channels(channels):
    network = ResUNet(input_channels=channels)
    assert keras_total(network) == 1_210_513 + (channels - 3) * 16 * 9
