"""Which networks exist, as data, and the one function that builds them from a bundle's metadata."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from BrainTumorSegLib.engine.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


class Task(StrEnum):
    """What a network's logits are: [B, 1, H, W] for segmentation, [B] for classification."""

    SEGMENTATION = "segmentation"
    CLASSIFICATION = "classification"


@dataclass(frozen=True)
class NetworkEntry:
    """Where a network's class is; its module is imported only when the network is built."""

    module: str
    task: Task


NETWORKS: Mapping[str, NetworkEntry] = MappingProxyType(
    {
        "ResUNet": NetworkEntry("resunet", Task.SEGMENTATION),
        "ResUNetPlusPlus": NetworkEntry("resunet_plus_plus", Task.SEGMENTATION),
        "ResUNetPlusPlusJha": NetworkEntry("resunet_plus_plus_jha", Task.SEGMENTATION),
        "ResUNetPlusPlusLite0": NetworkEntry("resunet_plus_plus_lite0", Task.SEGMENTATION),
        "ResUNetPlusPlusInStudy": NetworkEntry("resunet_plus_plus_in_study", Task.SEGMENTATION),
        "ResNet50Classifier": NetworkEntry("resnet50_classifier", Task.CLASSIFICATION),
        "EfficientNetLite0Classifier": NetworkEntry("lite0_classifier", Task.CLASSIFICATION),
    }
)


def build_network(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network called ``name``, constructed with ``arguments`` and untrained.

    Raises ModelError for an unknown name (it lists the known ones) and for arguments the network doesn't take.
    """
    if name not in NETWORKS:
        raise ModelError(f"There is no network '{name}'.", f"Choose one of: {', '.join(NETWORKS)}.")
    module = importlib.import_module(f"{__package__}.{NETWORKS[name].module}")
    try:
        check_channels(arguments.get("input_channels", 3))
        return getattr(module, name)(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The network {name} can't be built with {dict(arguments)}: {error}.",
            "The model's metadata don't fit this version; download the model again or update BrainTumorSeg.",
        ) from error


def check_channels(channels: object) -> None:
    """Raises ValueError unless it is a positive integer: PyTorch builds a network of no channels with a warning."""
    if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
        raise ValueError(f"input_channels must be a positive integer, not {channels!r}")


def refiner_of(network: nn.Module) -> nn.Module | None:
    """The part called ``refiner`` of a segmentation network that has one: it corrects the slices' logits."""
    return dict(network.named_children()).get("refiner")
