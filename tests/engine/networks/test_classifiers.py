"""The slice classifiers against the papers' heads and the parameter counts that Keras prints."""

from __future__ import annotations

import pytest
import torch

from BrainTumorSegLib.engine.errors import InputError, ModelError
from BrainTumorSegLib.engine.networks.resnet50_classifier import ClassifierHead
from network_measures import build_on_meta, convolution_macs_at_256, keras_total, shapes_at_256, trainable

KERAS_CONVOLUTION_BIASES = 26_560
"""Keras' ResNet50 has a bias on each of its 53 convolutions; MONAI's has none (batch normalisation cancels them)."""


def test_backbone_is_the_published_resnet_50():
    network = build_on_meta("ResNet50Classifier")
    assert keras_total(network.backbone) + KERAS_CONVOLUTION_BIASES == 23_587_712
    assert trainable(network.backbone) == 23_508_032


def test_deng_s_head_gives_the_total_that_its_code_prints():
    """25,685,634 is printed for two outputs; a single logit saves the second one's 256 weights and bias."""
    network = build_on_meta("ResNet50Classifier", head="flatten")
    assert keras_total(network) + KERAS_CONVOLUTION_BIASES + 257 == 25_685_634
    assert keras_total(network) == 25_658_817


def test_deng_s_head_flattens_8192_values():
    network = build_on_meta("ResNet50Classifier", head="flatten")
    assert shapes_at_256(network, list(network.head)[:3]) == [(2048, 2, 2), (8192,), (256,)]


def test_varolia_s_head_averages_globally():
    network = build_on_meta("ResNet50Classifier", head=ClassifierHead.GLOBAL_AVERAGE)
    assert shapes_at_256(network, list(network.head)[:3]) == [(2048, 1, 1), (2048,), (256,)]
    assert keras_total(network.head) == 524_801
    assert keras_total(network) == 24_085_953


def test_resnet_50_costs_5_3_billion_multiplications_a_slice():
    assert round(convolution_macs_at_256(build_on_meta("ResNet50Classifier")) / 1e9, 2) == 5.34


def test_flattening_head_refuses_another_image_size():
    network = build_on_meta("ResNet50Classifier", image_size=128)
    with pytest.raises(InputError, match=r"takes slices of 128 x 128 pixels, but got 256 x 128.*global average"):
        network(torch.empty(1, 3, 256, 128, device="meta"))


@pytest.mark.parametrize("size", [0, 64, 200])
def test_flattening_head_refuses_an_image_size_it_cannot_pool(size):
    with pytest.raises(ModelError, match=f"can't pool slices of {size} pixels.*multiple of 128"):
        build_on_meta("ResNet50Classifier", image_size=size)


def test_unknown_head_is_refused_with_the_known_ones():
    with pytest.raises(ModelError, match=r"no classifier head 'gap'.*flatten, global_average"):
        build_on_meta("ResNet50Classifier", head="gap")


def test_light_classifier_has_one_output_of_lite0_s_thousand():
    network = build_on_meta("EfficientNetLite0Classifier")
    assert trainable(network) == 4_652_008 - 999 * 1281
    assert keras_total(network) == 3_414_305


def test_classifier_gives_one_logit_a_slice_in_the_order_of_the_slices():
    torch.manual_seed(7)
    network = build_on_meta("EfficientNetLite0Classifier")
    assert network(torch.empty(5, 3, 256, 256, device="meta")).shape == (5,)
