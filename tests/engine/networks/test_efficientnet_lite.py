"""EfficientNet-lite0 against published counts and an independent build from MONAI's blocks."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.efficientnet import MBConvBlock
from torch import nn
from torch.nn import functional

from BrainTumorSegLib.engine.networks.efficientnet_lite import FEATURE_CHANNELS, EfficientNetLite0, spatial_conv
from network_measures import build_on_meta, convolution_macs_at_256, trainable


class MonaiLite0(nn.Module):
    """Lite0 for 64 x 64 from MONAI's MBConvBlock (its own "SAME" padding and wiring), without SE, with ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        # channels in, out, kernel, stride, repeats of EfficientNet-B0 (Tan and Le 2019, table 1)
        rows = [
            (32, 16, 3, 1, 1),
            (16, 24, 3, 2, 2),
            (24, 40, 5, 2, 2),
            (40, 80, 3, 2, 3),
            (80, 112, 5, 1, 3),
            (112, 192, 5, 2, 4),
            (192, 320, 3, 1, 1),
        ]
        self._conv_stem = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        size = 32
        for before, after, kernel, stride, repeats in rows:
            for repeat in range(repeats):
                first = repeat == 0
                block = MBConvBlock(
                    spatial_dims=2,
                    in_channels=before if first else after,
                    out_channels=after,
                    kernel_size=kernel,
                    stride=stride if first else 1,
                    image_size=[size, size],
                    expand_ratio=1 if before == 32 else 6,
                    se_ratio=None,
                    drop_connect_rate=None,
                )
                block._swish = nn.ReLU6()
                self._blocks.append(block)
                size = size // stride if first else size
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(functional.pad(x, (0, 1, 0, 1)))))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def with_random_statistics(network: nn.Module) -> nn.Module:
    """Gives every batch normalisation values of its own, so that swapped or skipped ones show."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def test_parameters_are_the_published_4_652_008():
    assert trainable(EfficientNetLite0()) == 4_652_008


def test_same_weights_give_the_logits_of_monai_s_blocks():
    torch.manual_seed(8)
    ours = with_random_statistics(EfficientNetLite0())
    reference = MonaiLite0().eval()
    reference.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits, expected = ours(x), reference(x)
    torch.testing.assert_close(logits, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_features_halve_from_stride_2_to_32():
    network = build_on_meta("EfficientNetLite0Classifier", input_channels=9)
    maps = network.features(torch.empty(1, 9, 256, 256, device="meta"))
    assert [tuple(level.shape[1:]) for level in maps] == [
        (channels, size, size) for channels, size in zip(FEATURE_CHANNELS, (128, 64, 32, 16, 8), strict=True)
    ]


def test_features_are_not_overwritten_by_later_layers():
    torch.manual_seed(9)
    network = EfficientNetLite0().eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        maps = network.features(x)
        kept = [level.clone() for level in maps]
        network(x)
        stem = functional.relu6(network._bn0(network._conv_stem(x)))
        torch.testing.assert_close(maps[0], network._blocks[0](stem))
    for before, after in zip(kept, maps, strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_filters_learn_in_float32_under_autocast(stride):
    torch.manual_seed(10)
    filters = spatial_conv(24, 24, kernel=5, stride=stride, groups=24)
    x = torch.randn(2, 24, 16, 16)
    gradients = []
    for autocast in (False, True):
        filters.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            result = filters(x)
        assert result.dtype is x.dtype
        result.square().sum().backward()
        gradients.append(filters.weight.grad.clone())
    assert torch.equal(*gradients)


def test_depthwise_filters_follow_autocast_where_nothing_is_learned():
    filters = spatial_conv(24, 24, kernel=5, stride=1, groups=24)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert filters(torch.randn(1, 24, 16, 16)).dtype is torch.bfloat16


def test_a_slice_costs_half_a_billion_multiplications():
    macs = convolution_macs_at_256(build_on_meta("EfficientNetLite0Classifier"))
    assert round(macs / 1e9, 3) == 0.501
