"""Time of one training step of the released network on one CPU thread, by precision, beside its roofline.

    python benchmarks/training_step.py --batch 8 --size-px 160

The roofline is what this thread could do at best: every operation of the step takes as long as its multiplications at
the rate of a large matrix product in its own precision, or as long as reading its inputs and writing its outputs once
at the rate of a large copy, whichever is more (Williams, Waterman and Patterson, "Roofline", CACM 52, 2009). The last
line leaves the depthwise filters to autocast, as any other layer: what ``DepthwiseConv2d`` saves.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from unittest.mock import patch

import torch
from torch import nn

from brain_tumor_training.fitting.losses import loss_named
from BrainTumorSegLib.engine.networks.efficientnet_lite import DepthwiseConv2d
from BrainTumorSegLib.engine.networks.resunet_plus_plus_lite0 import ResUNetPlusPlusLite0
from floors import Roofline, copy_bytes_per_s, matrix_flops_per_s, seconds

INPUT_CHANNELS = 5
WARM_UP = 3

Step = Callable[[], None]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="slices a step")
    parser.add_argument("--size-px", type=int, default=160, help="side of a slice")
    parser.add_argument("--repeats", type=int, default=11, help="steps of which the median is taken")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    flops_per_s = {dtype: matrix_flops_per_s(dtype) for dtype in (torch.float32, torch.bfloat16)}
    bytes_per_s = copy_bytes_per_s()
    rates = ", ".join(f"{str(dtype)[6:]} {rate / 1e9:.0f} GFLOP/s" for dtype, rate in flops_per_s.items())
    print(f"one thread: {rates}, copies {bytes_per_s / 1e9:.1f} GB/s")
    by_autocast = patch.object(DepthwiseConv2d, "forward", lambda self, x: super(DepthwiseConv2d, self).forward(x))
    for name, precision, change in (
        ("float32", torch.float32, nullcontext()),
        ("bfloat16", torch.bfloat16, nullcontext()),
        ("bfloat16 in every layer", torch.bfloat16, by_autocast),
    ):
        with change:
            step = training_step(precision, arguments.batch, arguments.size_px)
            step_s = median_s(step, arguments.repeats)
            with Roofline(flops_per_s, bytes_per_s) as roofline:
                step()
        shares = ", ".join(f"{limit} {seconds:.3f} s" for limit, seconds in sorted(roofline.by_limit.items()))
        print(
            f"{name:24} {step_s:.3f} s a step, {arguments.batch / step_s:.1f} slices/s, "
            f"{roofline.seconds / step_s:.0%} of the roofline ({roofline.seconds:.3f} s: {shares})"
        )


def training_step(precision: torch.dtype, batch: int, size_px: int) -> Step:
    """A step on random slices: forward, loss, backward, optimiser."""
    torch.manual_seed(0)
    network: nn.Module = ResUNetPlusPlusLite0(INPUT_CHANNELS).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.train().parameters())
    loss = loss_named("dice_bce")
    image = torch.rand(batch, INPUT_CHANNELS, size_px, size_px).to(memory_format=torch.channels_last)
    mask = (torch.rand(batch, 1, size_px, size_px) > 0.9).float()

    def step() -> None:
        with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
            logits = network(image)
        optimiser.zero_grad(set_to_none=True)
        loss(logits.float(), mask).backward()
        optimiser.step()

    return step


def median_s(step: Step, repeats: int) -> float:
    """Median duration of a step, seconds, after a few to warm up."""
    return statistics.median([seconds(step) for _ in range(WARM_UP + repeats)][WARM_UP:])


if __name__ == "__main__":
    main()
