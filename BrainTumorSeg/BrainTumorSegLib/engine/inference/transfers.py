"""Arrays to a device and back, and how many fit there at once.

A GPU computes by itself: it is told what to do, and the processor goes on. So that neither waits for the other, what it
needs next is brought through pinned memory while it computes, and what it found comes back the same way and is waited
for a batch later. The processor, and Apple's GPU, take one thing after the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float32]
Wait = Callable[[], Array]
"""Waits for what a device was told to compute, and gives it. Raises what went wrong there."""

_SHARE_FOR_A_BATCH = 0.5
"""Of a GPU's free memory. The rest is for the next batch's input, cuDNN's kernels and workspaces, which do not grow as
the batch does, and for other programs: Slicer draws on the same GPU."""


class Transfers:
    """Of a device on which every step is waited for. ahead: batches that may be computed while one more is made."""

    ahead = 0

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def send(self, array: Array) -> torch.Tensor:
        """The array on the device; on the processor it stays where it is."""
        return torch.from_numpy(array).to(self.device)

    def fetch(self, answer: torch.Tensor) -> Wait:
        """Brings float32 back; of any shape."""
        arrived: Array = answer.cpu().numpy()
        return lambda: arrived

    def fitting_batch(self, compute_one: Callable[[], object], limit: int) -> int:  # noqa: ARG002 - for GPUs
        """How many to compute at once, at most ``limit``. compute_one: computes one, as a batch is computed."""
        return limit

    def leave(self) -> None:
        """Gives up what is kept for this device; the runner computes elsewhere from now on."""


class CudaTransfers(Transfers):
    """Of an NVIDIA GPU, which computes one batch while the next is made and sent."""

    ahead = 1

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._uploads = torch.cuda.Stream(device)

    def send(self, array: Array) -> torch.Tensor:
        """The array on its way to the device; what is computed of it there waits until it has come."""
        with torch.cuda.stream(self._uploads):
            # Only from pinned memory does the GPU fetch by itself.
            sent = torch.from_numpy(array).pin_memory().to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self._uploads)
        # The tensor was made for the stream of uploads: its memory must not be used anew before it was computed with.
        sent.record_stream(computing)
        return sent

    def fetch(self, answer: torch.Tensor) -> Wait:
        """Brings float32 back, of any shape, as soon as it is computed."""
        with torch.cuda.device(self.device):
            host = torch.empty(answer.shape, dtype=answer.dtype, pin_memory=True)
            host.copy_(answer.contiguous(), non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()

        def wait() -> Array:
            arrived.synchronize()
            return host.numpy()

        return wait

    def fitting_batch(self, compute_one: Callable[[], object], limit: int) -> int:
        """By the memory that one took at its peak, and by what is free, with what PyTorch keeps for later."""
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        compute_one()
        each = torch.cuda.max_memory_allocated(self.device) - before
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return batch_within(torch.cuda.mem_get_info(self.device)[0] + kept, each, limit)

    def leave(self) -> None:
        """Gives the memory that PyTorch keeps for later back to other programs: nothing here needs it any more."""
        torch.cuda.empty_cache()


def transfers_to(device: torch.device) -> Transfers:
    """Those to and from a device that works."""
    return CudaTransfers(device) if device.type == "cuda" else Transfers(device)


def batch_within(free_bytes: int, bytes_each: int, limit: int) -> int:
    """The most that fits in a share of the free memory: 1, 2, 4, 8 …, at most ``limit``, which is such a number, and at
    least 1.

    Powers of two, so that a little more or less free memory seldom changes the batch: a GPU sums in another order for
    another size, and results differ in their last bits.

    >>> batch_within(1000, 70, limit=16)
    4
    """
    batch = 1
    while 2 * batch <= limit and 2 * batch * bytes_each <= _SHARE_FOR_A_BATCH * free_bytes:
        batch *= 2
    return batch
