"""Deep supervision: the decoder's steps learn the tumour, and what is shipped is the network alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from brain_tumor_training.fitting.deep_supervision import DeeplySupervised, deep_loss, supervised
from brain_tumor_training.fitting.losses import dice_bce
from brain_tumor_training.fitting.trainer import Trainer
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.networks.resunet import ResUNet
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0
from training_phantom import CPU, load_pools, tiny_settings


@pytest.fixture(scope="module")
def network() -> ResUNetPlusPlusLite0:
    torch.manual_seed(1)
    return ResUNetPlusPlusLite0(3).eval()


def test_the_first_channel_is_what_the_network_says_alone(network: ResUNetPlusPlusLite0) -> None:
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        logits = DeeplySupervised(network, (8, 4)).eval()(x)
        assert logits.shape == (2, 3, 64, 96)
        assert torch.equal(logits[:, :1], network(x))


def test_steps_come_from_fine_to_coarse_whatever_the_order_they_are_named_in(network: ResUNetPlusPlusLite0) -> None:
    assert [head.in_channels for head in DeeplySupervised(network, (16, 4, 8)).heads] == [32, 64, 128]
    maps = network.decoded(torch.randn(1, 3, 64, 64))
    assert [(one.shape[1], 64 // one.shape[2]) for one in maps] == [(128, 16), (64, 8), (32, 4), (16, 2)]


def test_each_step_s_loss_weighs_half_of_the_finer_one_s() -> None:
    torch.manual_seed(2)
    logits, mask = torch.randn(2, 4, 16, 16), (torch.rand(2, 1, 16, 16) < 0.3).float()
    weights = (1, 0.5, 0.25, 0.125)
    expected = sum(weight * dice_bce(logits[:, k : k + 1], mask) for k, weight in enumerate(weights))
    torch.testing.assert_close(deep_loss(dice_bce)(logits, mask), expected)


def test_a_step_s_loss_reaches_no_layer_behind_it(network: ResUNetPlusPlusLite0) -> None:
    trained = DeeplySupervised(network, (8,))
    mask = torch.ones(1, 1, 64, 64)
    functional.binary_cross_entropy_with_logits(trained(torch.randn(1, 3, 64, 64))[:, 1:], mask).backward()
    reached = [any(bool((one.grad != 0).any()) for one in block.parameters()) for block in network.decoder]
    assert reached == [True, True, False, False]
    network.zero_grad(set_to_none=True)


def test_a_run_leaves_the_network_alone_and_can_be_interrupted(tmp_path: Path) -> None:
    def trainer(run: Path) -> Trainer:
        torch.manual_seed(3)
        settings = tiny_settings(supervised_strides=(4, 16))
        return Trainer(ResUNetPlusPlusLite0(len(settings.channels)), settings, CPU, run)

    whole = trainer(tmp_path / "whole").fit(load_pools)
    assert trainer(tmp_path / "parts").fit(load_pools, stop_after=2) is None
    parts = trainer(tmp_path / "parts").fit(load_pools)
    assert whole is not None
    assert parts is not None
    expected, found = (torch.load(one, weights_only=True) for one in (whole, parts))
    assert expected.keys() == ResUNetPlusPlusLite0(3).state_dict().keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_without_strides_the_network_itself_is_trained(network: ResUNetPlusPlusLite0) -> None:
    assert supervised(network, ()) is network


def test_what_has_no_such_step_is_refused(network: ResUNetPlusPlusLite0) -> None:
    with pytest.raises(InputError, match=r"The decoder has no step at stride 2\. Choose among \(16, 8, 4\)"):
        supervised(network, (2,))
    with pytest.raises(InputError, match=r"The decoder of ResUNet can't be supervised at strides \[4\]\. Leave"):
        supervised(ResUNet(), (4,))
