"""What every registered network promises to the pipeline and to training."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.networks.registry import NETWORKS, Task, build_network
from network_measures import build_on_meta

SIDE = 64
CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "ResUNet": ("ResUNet", {}),
    "ResUNetPlusPlus": ("ResUNetPlusPlus", {}),
    "ResUNetPlusPlusJha": ("ResUNetPlusPlusJha", {}),
    "ResUNetPlusPlusLite0": ("ResUNetPlusPlusLite0", {}),
    "ResUNetPlusPlusInStudy": ("ResUNetPlusPlusInStudy", {}),
    "ResNet50-flatten": ("ResNet50Classifier", {"head": "flatten", "image_size": 128}),
    "ResNet50-global": ("ResNet50Classifier", {"head": "global_average"}),
    "EfficientNetLite0": ("EfficientNetLite0Classifier", {}),
}
MULTIPLES = {"ResUNet": 16, "ResUNetPlusPlus": 16, "ResUNetPlusPlusJha": 16}
"""What sides must be multiples of, where it is not the 32 of networks that halve five times."""


@dataclass(frozen=True)
class Case:
    """A network in evaluation, which no test changes, and two slices that it takes."""

    name: str
    arguments: dict[str, Any]
    network: nn.Module
    x: torch.Tensor

    @property
    def task(self) -> Task:
        return NETWORKS[self.name].task


@pytest.fixture(scope="module", params=CHOICES)
def case(request: pytest.FixtureRequest) -> Case:
    name, arguments = CHOICES[request.param]
    torch.manual_seed(0)
    network = build_network(name, arguments).eval()
    side = arguments.get("image_size", SIDE)
    return Case(name, arguments, network, torch.randn(2, 3, side, side))


def logit_shape(case: Case, x: torch.Tensor) -> tuple[int, ...]:
    return (len(x), 1, *x.shape[-2:]) if case.task is Task.SEGMENTATION else (len(x),)


def assert_near(logits: torch.Tensor, expected: torch.Tensor, share: float) -> None:
    """Equal within a share of the largest logit: convolutions sum in another order, nothing more."""
    torch.testing.assert_close(logits, expected, atol=share * float(expected.abs().max()), rtol=0, check_dtype=False)


def test_suite_covers_every_registered_network():
    assert {name for name, _ in CHOICES.values()} == set(NETWORKS)


def test_logits_have_the_promised_shape_and_are_finite(case: Case):
    with torch.inference_mode():
        logits = case.network(case.x)
    assert logits.shape == logit_shape(case, case.x)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("channels", [1, 9])
def test_number_of_input_channels_is_free(case: Case, channels: int):
    network = build_on_meta(case.name, input_channels=channels, **case.arguments)
    x = torch.empty(2, channels, *case.x.shape[-2:], device="meta")
    assert network(x).shape == logit_shape(case, x)


def test_a_slice_s_logits_do_not_depend_on_its_batch(case: Case):
    """Halving the batch when memory is short must not change a result."""
    with torch.inference_mode():
        alone = torch.cat([case.network(slice_[None]) for slice_ in case.x])
        assert_near(case.network(case.x), alone, share=1e-3)


def test_same_slices_give_the_same_bits_twice(case: Case):
    with torch.inference_mode():
        assert torch.equal(case.network(case.x), case.network(case.x))


def test_channels_last_changes_nothing_but_speed(case: Case):
    network = deepcopy(case.network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = network(case.x.to(memory_format=torch.channels_last))
        assert_near(logits, case.network(case.x), share=1e-3)


def test_bf16_autocast_stays_near_float32(case: Case):
    """Within 5 % of the largest logit: bf16 keeps 8 bits, and dozens of layers add their rounding."""
    with torch.inference_mode():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = case.network(case.x)
        assert rounded.dtype == torch.bfloat16
        assert_near(rounded, case.network(case.x), share=0.05)


def test_training_reaches_every_parameter(case: Case):
    network = deepcopy(case.network).train()
    network(case.x).square().sum().backward()
    unreached = [key for key, parameter in network.named_parameters() if parameter.grad is None]
    # A refiner is no part of what slices go through; test_study_refiner.py has the same test for it.
    assert [key for key in unreached if not key.startswith("refiner.")] == []


def test_saved_weights_load_strictly_without_unpickling(case: Case):
    file = io.BytesIO()
    torch.save(case.network.state_dict(), file)
    file.seek(0)
    other = build_on_meta(case.name, **case.arguments)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True, assign=True)
    with torch.inference_mode():
        assert torch.equal(other(case.x), case.network(case.x))


def test_wrong_size_is_refused_with_the_next_valid_one(case: Case):
    multiple = MULTIPLES.get(case.name, 32)
    message = rf"got {multiple} x {multiple + 1}\. .*next valid size is {multiple} x {2 * multiple}\."
    with pytest.raises(InputError, match=message):
        case.network(torch.zeros(1, 3, multiple, multiple + 1))


def test_wrong_number_of_channels_is_refused(case: Case):
    message = r"takes \[B, 3, H, W\], but got an array of shape \[1, 4, 64, 64\].*slices of 3 channels"
    with pytest.raises(InputError, match=message):
        case.network(torch.zeros(1, 4, 64, 64))


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.task is Task.SEGMENTATION])
def test_segmentation_takes_slices_that_are_not_square(name: str):
    assert build_on_meta(name)(torch.empty(1, 3, 64, 192, device="meta")).shape == (1, 1, 64, 192)
