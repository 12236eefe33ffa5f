"""What tests measure on a network: its size, the shapes inside it, its multiplications."""

from __future__ import annotations

import torch
from torch import nn

from BrainTumorSegLib.engine.networks.registry import build_network


def build_on_meta(name: str, **arguments: object) -> nn.Module:
    """The network without memory or arithmetic: its shapes at 256 px cost nothing to ask for."""
    with torch.device("meta"):
        return build_network(name, arguments).eval()


def trainable(module: nn.Module) -> int:
    """Parameters that training changes; in a batch normalisation scale and shift."""
    return sum(parameter.numel() for parameter in module.parameters())


def keras_total(module: nn.Module) -> int:
    """Parameters as Keras counts them: running means and variances too, but no batch counters."""
    statistics = sum(buffer.numel() for buffer in module.buffers() if buffer.ndim > 0)
    return trainable(module) + statistics


def shapes_at_256(network: nn.Module, modules: list[nn.Module], channels: int = 3) -> list[tuple[int, ...]]:
    """(C, H, W) of the output of each module, in the order given, for one slice of 256 x 256."""
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        shapes[module] = tuple(output.shape[1:])

    for module in modules:
        module.register_forward_hook(note)
    network(torch.empty(1, channels, 256, 256, device="meta"))
    return [shapes[module] for module in modules]


def convolution_macs_at_256(network: nn.Module, channels: int = 3) -> int:
    """Multiply-accumulates of all convolutions for one slice of 256 x 256."""
    total = 0

    def add(module: nn.Conv2d, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        total += module.weight[0].numel() * output[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add)
    network(torch.empty(1, channels, 256, 256, device="meta"))
    return total
