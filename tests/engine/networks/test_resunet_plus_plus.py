"""ResUNet++ of Dai et al. against what the paper says: five levels, a bridge of 16 x 16 x 256, attention, ASPP."""

from __future__ import annotations

import torch

from BrainTumorSegLib.engine.networks.resunet_plus_plus import ASPP_DILATIONS, ResUNetPlusPlus
from network_measures import build_on_meta, keras_total, shapes_at_256


def test_five_levels_halve_down_to_16_x_16_x_256():
    network = build_on_meta("ResUNetPlusPlus")
    assert shapes_at_256(network, [network.stem, *network.encoder]) == [
        (16, 256, 256),
        (32, 128, 128),
        (64, 64, 64),
        (128, 32, 32),
        (256, 16, 16),
    ]


def test_bridge_keeps_16_x_16_x_256():
    network = build_on_meta("ResUNetPlusPlus")
    assert shapes_at_256(network, [network.bridge]) == [(256, 16, 16)]


def test_decoder_mirrors_the_encoder_and_ends_in_one_channel():
    network = build_on_meta("ResUNetPlusPlus")
    assert shapes_at_256(network, [*network.decoder, network.output]) == [
        (128, 32, 32),
        (64, 64, 64),
        (32, 128, 128),
        (16, 256, 256),
        (1, 256, 256),
    ]
    assert network.output.kernel_size == (1, 1)


def test_each_gate_weighs_its_skip_at_the_skip_s_own_size():
    network = build_on_meta("ResUNetPlusPlus")
    assert shapes_at_256(network, list(network.gates)) == [
        (128, 32, 32),
        (64, 64, 64),
        (32, 128, 128),
        (16, 256, 256),
    ]


def test_residual_stages_have_the_sizes_of_resunet_s():
    network = ResUNetPlusPlus(input_channels=3)
    layers = [network.stem, *network.encoder, *network.decoder, network.output]
    expected = [2_896, 10_720, 41_920, 165_760, 659_200, 247_680, 62_400, 15_840, 4_080, 17]
    assert [keras_total(layer) for layer in layers] == expected


def test_bridge_and_gates_add_what_their_formulas_say():
    network = ResUNetPlusPlus(input_channels=3)
    branches = (1 + 9 + 9 + 9) * 256 * 64 + 4 * 64
    assert keras_total(network.bridge) == branches + 256 * 256 + 4 * 256
    for gate, skip in zip(network.gates, (128, 64, 32, 16), strict=True):
        inner = skip // 2
        from_both = (2 * skip + skip) * inner + 2 * inner + 2 * 4 * inner
        assert keras_total(gate) == from_both + inner + 1 + 4
    assert keras_total(network) == 1_770_061


def test_bridge_sees_as_far_as_its_widest_dilation_and_no_farther():
    """The response to one changed pixel spreads exactly 6 pixels, along the dilated taps."""
    torch.manual_seed(2)
    bridge = ResUNetPlusPlus().bridge.eval()
    flat = torch.zeros(1, 256, 16, 16)
    spot = flat.clone()
    spot[0, :, 8, 8] = 1.0
    with torch.no_grad():
        changed = (bridge(spot) - bridge(flat)).abs().amax(dim=(0, 1)) > 0
    offsets = {(int(row) - 8, int(column) - 8) for row, column in changed.nonzero()}
    taps = (0, *(d for d in ASPP_DILATIONS if d > 1))
    assert offsets == {(row * d, column * d) for d in taps for row in (-1, 0, 1) for column in (-1, 0, 1)}
