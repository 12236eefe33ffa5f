import zlib

import pytest
import torch

from brain_tumor_training.bundles.shortening import LARGE, SIGNIFICANT_BITS, STEPS_PER_SPREAD, shortened

SMALL_LAYER, LARGE_LAYER = (16, 8, 3, 3), (200, 200, 1, 1)


def _weights(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)) / 30


def test_small_layers_keep_their_significant_bits() -> None:
    weights = _weights(SMALL_LAYER)
    found = shortened(weights)
    mantissa = torch.frexp(found.float())[0] * 2**SIGNIFICANT_BITS
    assert found.dtype == torch.float16
    assert torch.equal(mantissa, mantissa.round())
    torch.testing.assert_close(found.float(), weights, rtol=2.0**-SIGNIFICANT_BITS, atol=1e-7)


def test_large_layers_lie_on_a_grid_of_each_filter() -> None:
    scales = torch.logspace(-3, 0, LARGE_LAYER[0])[:, None, None, None]
    weights = _weights(LARGE_LAYER) * scales
    assert weights.numel() >= LARGE
    found = shortened(weights).float()
    spread = weights.flatten(1).square().mean(1).sqrt()
    # A power of two is at most a factor of the root of 2 away, and rounding at most half a step.
    largest = 2**0.5 / STEPS_PER_SPREAD / 2 * spread
    assert ((found - weights).abs().flatten(1).amax(1) <= 1.01 * largest).all()
    relative = (found - weights).norm() / weights.norm()
    assert relative == pytest.approx(1 / STEPS_PER_SPREAD / 12**0.5, rel=0.3)


def test_a_large_layer_compresses_to_half_of_float16() -> None:
    found = zlib.compress(shortened(_weights(LARGE_LAYER)).numpy().tobytes(), 9)
    assert len(found) < 0.55 * 2 * torch.Size(LARGE_LAYER).numel()


@pytest.mark.parametrize("shape", [SMALL_LAYER, LARGE_LAYER])
def test_filters_without_weights_stay_so(shape: tuple[int, ...]) -> None:
    assert not shortened(torch.zeros(shape)).any()


def test_shifts_and_counts_stay() -> None:
    shifts = torch.linspace(-3, 3, 7)
    assert torch.equal(shortened(shifts), shifts.half())
    assert torch.equal(shortened(torch.tensor([123456789])), torch.tensor([123456789]))
