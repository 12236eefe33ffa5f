"""A slice's score is what its surest square centimetre says."""

from __future__ import annotations

import torch

from BrainTumorSegLib.engine.networks.resunet_plus_plus_classifier import SUREST_PIXELS, ResUNetPlusPlusClassifier
from network_measures import build_on_meta, trainable


class Outline(torch.nn.Module):
    """Gives the first channel of its input as its logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1]


def test_the_score_is_the_mean_of_the_highest_logits_wherever_they_are():
    network = ResUNetPlusPlusClassifier()
    network.outline = Outline()
    maps = torch.full((3, 1, 16, 16), -4.0)
    maps[0, 0, 3, 3] = 60.0
    maps[1, 0, :4, :8] = 2.0
    maps[2, 0, -8:, -8:] = 5.0
    scores = network(maps)
    torch.testing.assert_close(scores, torch.tensor([-4.0 + 64.0 / SUREST_PIXELS, 2.0, 5.0]))


def test_it_is_the_coarse_member_and_nothing_more():
    assert trainable(build_on_meta("ResUNetPlusPlusClassifier")) == 3_569_440
