"""ResUNet++ of Jha et al. against the counts of the authors' Keras and PyTorch files."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from BrainTumorSegLib.engine.networks.resunet_plus_plus_jha import (
    AtrousPyramid,
    Attention,
    ResUNetPlusPlusJha,
    SqueezeExcitation,
    residual_block,
)
from network_measures import build_on_meta, convolution_macs_at_256, keras_total, shapes_at_256, trainable


def residual_size(before: int, after: int) -> int:
    """Two BN-ReLU-Conv3x3, a Conv1x1-BN shortcut, squeeze and excitation of ratio 8, as Keras counts."""
    convolutions = (9 * before + 1) * after + (9 * after + 1) * after + (before + 1) * after
    return convolutions + 4 * (before + after + after) + 2 * after * after // 8


def pyramid_size(before: int, after: int) -> int:
    return 4 * ((9 * before + 1) * after + 4 * after) + (after + 1) * after


def attention_size(encoder: int, decoder: int) -> int:
    convolutions = (9 * encoder + 1) * decoder + 2 * (9 * decoder + 1) * decoder
    return convolutions + 4 * (encoder + 2 * decoder)


def fresh_norm(y: torch.Tensor) -> torch.Tensor:
    """A batch normalisation that has seen nothing yet: mean 0, variance 1, epsilon 1e-5."""
    return y / (1 + 1e-5) ** 0.5


def test_total_is_the_published_one():
    network = ResUNetPlusPlusJha(input_channels=3)
    assert keras_total(network) == 4_070_385
    assert trainable(network) == 4_062_993


def test_every_layer_has_the_size_of_the_authors_code():
    network = ResUNetPlusPlusJha(input_channels=3)
    stem = 448 + 64 + 2_320 + 64 + 64 + 64
    assert keras_total(network.stem) == stem
    assert [keras_total(block) for block in network.encoder] == [
        residual_size(16, 32),
        residual_size(32, 64),
        residual_size(64, 128),
    ]
    assert keras_total(network.bridge) == pyramid_size(128, 256)
    assert [keras_total(block) for block in network.attention] == [
        attention_size(64, 256),
        attention_size(32, 128),
        attention_size(16, 64),
    ]
    assert [keras_total(block) for block in network.decoder] == [
        residual_size(256 + 64, 128),
        residual_size(128 + 32, 64),
        residual_size(64 + 16, 32),
    ]
    assert keras_total(network.pyramid) == pyramid_size(32, 16)
    assert keras_total(network.output) == 17


def test_four_levels_put_the_bridge_at_32_x_32():
    network = build_on_meta("ResUNetPlusPlusJha")
    layers = [network.stem, *network.encoder, network.bridge, *network.decoder, network.pyramid, network.output]
    assert shapes_at_256(network, layers) == [
        (16, 256, 256),
        (32, 128, 128),
        (64, 64, 64),
        (128, 32, 32),
        (256, 32, 32),
        (128, 64, 64),
        (64, 128, 128),
        (32, 256, 256),
        (16, 256, 256),
        (1, 256, 256),
    ]


def test_attention_keeps_the_decoder_s_size():
    network = build_on_meta("ResUNetPlusPlusJha")
    assert shapes_at_256(network, list(network.attention)) == [(256, 32, 32), (128, 64, 64), (64, 128, 128)]


def test_a_slice_costs_15_669_billion_multiplications():
    assert round(convolution_macs_at_256(build_on_meta("ResUNetPlusPlusJha")) / 1e9, 3) == 15.669


def test_excitation_multiplies_each_channel_by_its_weight():
    torch.manual_seed(3)
    block = SqueezeExcitation(16)
    x = torch.randn(2, 16, 5, 7)
    first, second = block.weigh[0].weight, block.weigh[2].weight
    weights = torch.sigmoid((x.mean(dim=(2, 3)) @ first.T).clamp(min=0) @ second.T)
    torch.testing.assert_close(block(x), torch.einsum("bchw,bc->bchw", x, weights))


def test_residual_block_excites_its_unrectified_sum():
    """BN-ReLU-Conv3x3 twice plus Conv1x1-BN, strided, then squeeze and excitation, written out."""
    torch.manual_seed(4)
    block = residual_block(8, 16, stride=2).eval()
    x = torch.randn(2, 8, 8, 8)
    first, second = block.main[0][2], block.main[1][2]
    main = functional.conv2d(fresh_norm(x).clamp(min=0), first.weight, first.bias, stride=2, padding=1)
    main = functional.conv2d(fresh_norm(main).clamp(min=0), second.weight, second.bias, padding=1)
    short = fresh_norm(functional.conv2d(x, block.shortcut[0].weight, block.shortcut[0].bias, stride=2))
    squeezed = (main + short).mean(dim=(2, 3)) @ block.excitation.weigh[0].weight.T
    weights = torch.sigmoid(squeezed.clamp(min=0) @ block.excitation.weigh[2].weight.T)
    torch.testing.assert_close(block(x), (main + short) * weights[:, :, None, None])


def test_pyramid_sums_its_four_dilations():
    """A single pixel reaches 18 pixels far, through the taps of rates 1, 6, 12 and 18 alone."""
    torch.manual_seed(5)
    pyramid = AtrousPyramid(4, 4).eval()
    flat = torch.zeros(1, 4, 41, 41)
    spot = flat.clone()
    spot[0, :, 20, 20] = 1.0
    with torch.no_grad():
        changed = (pyramid(spot) - pyramid(flat)).abs().amax(dim=(0, 1)) > 0
    offsets = {(int(row) - 20, int(column) - 20) for row, column in changed.nonzero()}
    expected = {(r * d, c * d) for d in (1, 6, 12, 18) for r in (-1, 0, 1) for c in (-1, 0, 1)}
    assert offsets == expected


def test_attention_multiplies_unbounded_weights_with_the_decoder_s_map():
    torch.manual_seed(6)
    attention = Attention(4, 8).eval()
    g, x = torch.randn(1, 4, 8, 8), torch.randn(1, 8, 4, 4)

    def convolve(layer, y):
        return functional.conv2d(fresh_norm(y).clamp(min=0), layer[2].weight, layer[2].bias, padding=1)

    gate = functional.max_pool2d(convolve(attention.from_encoder[0], g), 2) + convolve(attention.from_decoder, x)
    torch.testing.assert_close(attention(g, x), convolve(attention.weigh, gate) * x)


@pytest.mark.parametrize("channels", [1, 9])
def test_only_the_stem_grows_with_the_input_channels(channels):
    network = ResUNetPlusPlusJha(input_channels=channels)
    assert keras_total(network) == 4_070_385 + (channels - 3) * (9 + 1) * 16
