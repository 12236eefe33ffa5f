"""Time of one training step of the released network on one CPU thread, by precision: median and slices a second.

    python benchmarks/training_step.py --batch 8 --size-px 160

The last line leaves the depthwise filters to autocast, as any other layer: what ``DepthwiseConv2d`` saves.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from unittest.mock import patch

import torch
from torch import nn

from brain_tumor_training.losses import loss_named
from BrainTumorSegLib.engine.networks.efficientnet_lite import DepthwiseConv2d
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0

INPUT_CHANNELS = 5
WARM_UP = 3


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="slices a step")
    parser.add_argument("--size-px", type=int, default=160, help="side of a slice")
    parser.add_argument("--repeats", type=int, default=11, help="steps of which the median is taken")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    by_autocast = patch.object(DepthwiseConv2d, "forward", lambda self, x: super(DepthwiseConv2d, self).forward(x))
    for name, precision, change in (
        ("float32", torch.float32, nullcontext()),
        ("bfloat16", torch.bfloat16, nullcontext()),
        ("bfloat16 in every layer", torch.bfloat16, by_autocast),
    ):
        with change:
            step_s = median_step_s(precision, arguments.batch, arguments.size_px, arguments.repeats)
        print(f"{name:24} {step_s:.3f} s a step, {arguments.batch / step_s:.1f} slices/s")


def median_step_s(precision: torch.dtype, batch: int, size_px: int, repeats: int) -> float:
    """Median duration of a step on random slices, seconds."""
    torch.manual_seed(0)
    network: nn.Module = ResUNetPlusPlusLite0(INPUT_CHANNELS).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.train().parameters())
    loss = loss_named("dice_bce")
    image = torch.rand(batch, INPUT_CHANNELS, size_px, size_px).to(memory_format=torch.channels_last)
    mask = (torch.rand(batch, 1, size_px, size_px) > 0.9).float()
    durations_s = []
    for _ in range(WARM_UP + repeats):
        started = time.perf_counter()
        with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
            logits = network(image)
        optimiser.zero_grad(set_to_none=True)
        loss(logits.float(), mask).backward()
        optimiser.step()
        durations_s.append(time.perf_counter() - started)
    return statistics.median(durations_s[WARM_UP:])


if __name__ == "__main__":
    main()
