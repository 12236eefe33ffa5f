"""The network that sees a whole study: it starts by changing nothing, and it really looks through the slices."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.networks.study_refiner import StudyRefiner
from network_measures import build_on_meta, trainable


@pytest.fixture(scope="module")
def trained() -> StudyRefiner:
    """A refiner whose last layer is not zero any more."""
    torch.manual_seed(3)
    network = StudyRefiner()
    torch.nn.init.normal_(network.output.weight)
    return network.eval()


def test_an_untrained_refiner_changes_nothing():
    torch.manual_seed(3)
    assert torch.equal(StudyRefiner()(torch.randn(1, 4, 5, 16, 24)), torch.zeros(1, 1, 5, 16, 24))


@pytest.mark.parametrize("slabs", [1, 2, 7, 36])
def test_any_number_of_slabs_gives_a_correction_of_each(slabs: int):
    with torch.device("meta"):
        assert StudyRefiner()(torch.empty(1, 4, slabs, 56, 48)).shape == (1, 1, slabs, 56, 48)


def test_a_slab_is_judged_by_what_is_centimetres_away(trained: StudyRefiner):
    torch.manual_seed(4)
    study = torch.randn(1, 4, 12, 32, 32)
    changed = study.clone()
    changed[:, :, 10, 8:16, 8:16] += 4
    with torch.inference_mode():
        difference = (trained(changed) - trained(study)).abs().amax(dim=(1, 3, 4))[0]
    assert difference[4] > 1e-3


def test_training_reaches_every_parameter(trained: StudyRefiner):
    network = deepcopy(trained).train()
    network(torch.randn(1, 4, 6, 16, 16)).square().sum().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


def test_it_is_small_beside_the_network_of_the_slices():
    network = build_on_meta("ResUNetPlusPlusInStudy")
    assert (trainable(network.slices), trainable(network.refiner)) == (3_569_440, 780_001)


@pytest.mark.parametrize("shape", [(1, 3, 5, 16, 16), (1, 4, 5, 12, 16), (4, 5, 16, 16)])
def test_another_shape_is_refused(shape: tuple[int, ...]):
    with pytest.raises(DefectError, match=r"takes \[B, 4, D, H, W\] with sides that are multiples of 8, but got"):
        StudyRefiner()(torch.zeros(shape))
