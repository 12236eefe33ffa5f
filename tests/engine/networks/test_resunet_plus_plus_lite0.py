"""The release's network: its parts have the sizes that their formulas give, and every pixel has a logit of its own."""

from __future__ import annotations

import torch

from BrainTumorSegLib.engine.networks.efficientnet_lite import FEATURE_CHANNELS
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0
from network_measures import build_on_meta, convolution_macs_at_256, keras_total, shapes_at_256, trainable


def test_decoder_mirrors_the_encoder_up_to_half_the_sampling():
    network = build_on_meta("ResUNetPlusPlusLite0")
    assert shapes_at_256(network, [network.bridge, *network.decoder, network.output]) == [
        (128, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (32, 64, 64),
        (16, 128, 128),
        (4, 128, 128),
    ]


def test_parts_have_the_parameters_that_their_formulas_give():
    network = ResUNetPlusPlusLite0()
    branches = (1 + 9 + 9 + 9) * 320 * 32 + 4 * 32
    assert keras_total(network.bridge) == branches + 128 * 128 + 4 * 128
    steps = zip((128, 128, 64, 32), FEATURE_CHANNELS[-2::-1], (128, 64, 32, 16), strict=True)
    for (below, skip, width), block in zip(steps, network.decoder, strict=True):
        inputs = below + skip
        assert keras_total(block) == 2 * inputs * width + 9 * width**2 + 15 * width
    assert trainable(network.encoder) == 2_958_848
    assert (trainable(network), keras_total(network)) == (3_569_440, 3_610_984)


def test_a_slice_costs_three_quarters_of_a_billion_multiplications():
    macs = convolution_macs_at_256(build_on_meta("ResUNetPlusPlusLite0"))
    assert round(macs / 1e9, 2) == 0.75


def test_each_pixel_of_a_block_of_four_has_its_own_logit():
    torch.manual_seed(3)
    network = ResUNetPlusPlusLite0().eval()
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([0.0, 10.0, 20.0, 30.0]))
        network.output.weight.zero_()
        logits = network(torch.randn(1, 3, 32, 32))[0, 0]
    assert logits[:2, :2].tolist() == [[0, 10], [20, 30]]
    assert torch.equal(logits, logits[:2, :2].repeat(16, 16))
