"""Where a network's first weights come from: exactly what the recipe names, or a message, never something else."""

from __future__ import annotations

import logging
import pickle
import urllib.error
from pathlib import Path
from typing import Any

import torch
from torch import nn

from brain_tumor_training.recipes.settings import TrainingSettings
from BrainTumorSegLib.engine.errors import InputError, ModelError
from BrainTumorSegLib.engine.networks.efficientnet_lite import EfficientNetLite0Encoder
from BrainTumorSegLib.engine.networks.imagenet import adapt_stem, load_imagenet_weights
from BrainTumorSegLib.engine.networks.registry import build_network
from BrainTumorSegLib.engine.networks.resnet50_classifier import ResNet50Classifier
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0

logger = logging.getLogger(__name__)

RESNET50_URL = "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
"""torchvision's ResNet50_Weights.IMAGENET1K_V2 (BSD-3-Clause)."""


def initialised_network(settings: TrainingSettings, weights: Path | None = None) -> nn.Module:
    """The recipe's network with its first weights and its frozen layers.

    weights: a local file, either torchvision's ResNet-50 for "imagenet_r50" (fetched without it), or the weights.pt of
    a trained ResUNetPlusPlusLite0 for "segmentation". Raises ModelError where they can't be had: nothing else takes
    their place. The seed decides what is random.
    """
    torch.manual_seed(settings.seed)
    network = build_network(settings.network, settings.arguments)
    if settings.init == "imagenet_lite0":
        encoder = network.encoder if isinstance(network, ResUNetPlusPlusLite0) else network
        load_imagenet_weights(_expect(encoder, EfficientNetLite0Encoder, settings))
    elif settings.init == "imagenet_r50":
        _load_resnet50(_expect(network, ResNet50Classifier, settings), _resnet50_state(weights))
    elif settings.init == "segmentation":
        _load_encoder(_expect(network, EfficientNetLite0Encoder, settings), weights)
    elif settings.init != "scratch":
        known = "scratch, imagenet_lite0, imagenet_r50, segmentation"
        raise InputError(f"There is no init '{settings.init}'.", f"Choose one of {known}.")
    if settings.trainable_layers is not None:
        freeze_backbone(_expect(network, ResNet50Classifier, settings), settings.trainable_layers)
    return network


def freeze_backbone(network: ResNet50Classifier, trainable_layers: int) -> None:
    """Leaves the head and the last so many layers of the backbone trainable, counted as Keras' ResNet50 does."""
    for parameter in network.backbone.parameters():
        parameter.requires_grad_(False)
    layers = keras_layers(network.backbone)
    for layer in layers[len(layers) - trainable_layers :]:
        for parameter in layer.parameters() if layer is not None else ():
            parameter.requires_grad_(True)


def keras_layers(backbone: Any) -> list[nn.Module | None]:
    """Keras' layers of the four stages in order, as modules that have weights; activations and additions are None."""
    layers: list[nn.Module | None] = []
    for stage in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
        for block in stage:
            shortcut = block.downsample if isinstance(block.downsample, nn.Sequential) else (None, None)
            first = [block.conv1, block.bn1, None, block.conv2, block.bn2, None]
            if shortcut[0] is None:
                layers += [*first, block.conv3, block.bn3, None, None]
            else:
                layers += [*first, shortcut[0], block.conv3, shortcut[1], block.bn3, None, None]
    return layers


def set_training_mode(network: nn.Module) -> None:
    """Training mode, but frozen normalisation keeps its statistics, as Keras does for layers that are not trainable."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and not any(one.requires_grad for one in module.parameters()):
            module.eval()


def _expect(network: nn.Module, kind: type[Any], settings: TrainingSettings) -> Any:
    if not isinstance(network, kind):
        raise InputError(
            f"{settings.network} can't be initialised by '{settings.init}' with trainable_layers "
            f"{settings.trainable_layers}: that needs {kind.__name__}.",
            "Choose init scratch, or another network.",
        )
    return network


def _load_encoder(network: EfficientNetLite0Encoder, weights: Path | None) -> None:
    """Every tensor of the encoder comes from a trained segmentation network; only the head keeps its own.

    That network must have held the same patients out: a classifier inherits what its encoder was trained on.
    """
    if weights is None:
        raise ModelError(
            "The recipe starts from a trained segmentation network, but none is given.",
            "Give the weights.pt of a run of the same fold with --weights PATH.",
        )
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"The weights {weights} can't be read: {error}.", "Give a run's weights.pt.") from error
    prefix = "encoder."
    encoder = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    own = network.state_dict()
    expected = EfficientNetLite0Encoder(network.input_channels).state_dict()
    try:
        network.load_state_dict({**own, **{name: encoder[name] for name in expected}}, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"{weights} does not hold a ResUNetPlusPlusLite0 of {network.input_channels} channels: {error}.",
            "Give the weights.pt of a run by release_segmentation.",
        ) from error


def _resnet50_state(weights: Path | None) -> dict[str, torch.Tensor]:
    try:
        if weights is not None:
            return torch.load(weights, map_location="cpu", weights_only=True)
        return torch.hub.load_state_dict_from_url(RESNET50_URL, map_location="cpu", check_hash=True, weights_only=True)
    except (urllib.error.URLError, OSError) as error:
        raise ModelError(
            f"The ImageNet weights of ResNet-50 can't be had from {weights or RESNET50_URL}: {error}.",
            "Give a local copy with --weights PATH, or choose a recipe with init imagenet_lite0 or scratch.",
        ) from error


def _load_resnet50(network: ResNet50Classifier, state: dict[str, torch.Tensor]) -> None:
    """Every tensor of the backbone must come from the file. Raises ModelError otherwise."""
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    try:
        backbone["conv1.weight"] = adapt_stem(backbone["conv1.weight"], network.input_channels)
        network.backbone.load_state_dict(backbone, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"The file does not hold torchvision's ResNet-50: {error}.", "Give that file.") from error
