from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from brain_tumor_training.data.slices import SlicePool
from brain_tumor_training.fitting.losses import loss_named
from brain_tumor_training.fitting.validation import validate
from training_phantom import CPU, patients, tiny_network, tiny_settings


def _bright() -> nn.Module:
    """Says tumour where FLAIR is bright, as it is in the phantom's tumours alone."""
    network = nn.Conv2d(3, 1, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([0.0, 20.0, 0.0])[None, :, None, None])
        network.bias.fill_(-15.0)
    return network


def _loss(pool: SlicePool, batch_size: int) -> float:
    return validate(_bright(), pool, tiny_settings(batch_size=batch_size), loss_named("jaccard"), CPU).loss


def test_the_loss_does_not_depend_on_whose_slices_are_watched() -> None:
    """A loss of overlap is 1 for a patient without tumour, whatever the batch holds besides."""
    whole = patients(1, slices=6)[0]
    halves = [
        replace(whole, name=name, variants=whole.variants[:, :, part], mask=whole.mask[part])
        for name, part in (("first", slice(0, 1)), ("rest", slice(1, None)))
    ]
    assert not halves[0].mask.any()
    assert _loss(SlicePool.of_all(halves), 6) == pytest.approx(_loss(SlicePool.of_all([whole]), 6))


def test_the_loss_is_the_mean_of_batches_as_training_makes_them() -> None:
    pool = SlicePool.of_all(patients(2, slices=4))
    assert _loss(pool, 3) == _loss(pool, 3)
    # Jaccard's of single slices is 1 where there is no tumour; of all slices together it is not.
    assert _loss(pool, 1) > _loss(pool, 8) + 0.1


def test_a_network_goes_back_to_training() -> None:
    network = tiny_network().train()
    found = validate(network, SlicePool.of_all(patients(1)), tiny_settings(), loss_named("dice_bce"), CPU)
    assert network.training
    assert np.isfinite(found.loss)
    assert 0 <= found.score <= 1
