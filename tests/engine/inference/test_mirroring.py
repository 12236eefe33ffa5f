"""A slice and its mirror image are asked alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from BrainTumorSegLib.engine.inference.mirroring import answer_with_mirror_image


def test_the_answer_is_the_mean_of_both_views() -> None:
    torch.manual_seed(4)
    network = nn.Conv2d(3, 1, (1, 3), padding=(0, 1))
    slices = torch.randn(2, 3, 4, 6)
    left, middle, right = np.moveaxis(network.weight.detach().numpy()[0, :, 0], -1, 0)
    padded = np.pad(slices.numpy(), ((0, 0), (0, 0), (0, 0), (1, 1)))
    # Mirrored, the kernel's left and right change places: their mean is what both views say.
    beside = (left + right)[:, None, None] / 2
    expected = (padded[..., :-2] + padded[..., 2:]) * beside + slices.numpy() * middle[:, None, None]
    found = answer_with_mirror_image(network, slices).detach().numpy()[:, 0]
    np.testing.assert_allclose(found, expected.sum(axis=1) + network.bias.item(), rtol=1e-5, atol=1e-6)


def test_a_network_that_answers_in_bfloat16_is_averaged_in_float32() -> None:
    slices = torch.tensor([[[[1.0, 1.0078125]]]])
    found = answer_with_mirror_image(nn.Identity().to(torch.bfloat16), slices.to(torch.bfloat16))
    assert found.dtype == torch.float32
