"""The mean of two networks: each member is what it was, and the coarse one sees what it was trained on."""

from __future__ import annotations

import torch
from torch.nn import functional

from BrainTumorSegLib.engine.networks.resunet_plus_plus_fine_coarse import ResUNetPlusPlusFineCoarse
from BrainTumorSegLib.engine.preprocessing import coarsen
from network_measures import build_on_meta, convolution_macs_at_256, trainable


def test_logits_are_the_mean_of_the_members_each_at_its_own_sampling():
    torch.manual_seed(5)
    network = ResUNetPlusPlusFineCoarse(5).eval()
    image = torch.randn(2, 5, 64, 64)
    with torch.no_grad():
        coarse = network.coarse(torch.from_numpy(coarsen(image.numpy(), 32)))
        expected = (network.fine(image) + functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")) / 2
        torch.testing.assert_close(network(image), expected)


def test_a_uniform_coarse_map_reaches_every_pixel_unchanged():
    network = ResUNetPlusPlusFineCoarse().eval()
    with torch.no_grad():
        for member, logit in ((network.fine, 1.0), (network.coarse, 5.0)):
            member.output.weight.zero_()
            member.output.bias.fill_(logit)
        assert torch.equal(network(torch.randn(1, 3, 64, 128)), torch.full((1, 1, 64, 128), 3.0))


def test_the_coarse_member_adds_a_quarter_of_the_cost():
    network = build_on_meta("ResUNetPlusPlusFineCoarse")
    assert (trainable(network.fine), trainable(network.coarse)) == (3_569_440, 3_569_440)
    fine, both = (
        convolution_macs_at_256(build_on_meta(name)) for name in ("ResUNetPlusPlusLite0", "ResUNetPlusPlusFineCoarse")
    )
    assert both == 1.25 * fine
    assert round(both / 1e9, 2) == 0.94
