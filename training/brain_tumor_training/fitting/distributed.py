"""One process or several, as torchrun started them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from BrainTumorSegLib.engine.errors import InputError


@dataclass(frozen=True)
class Processes:
    """This process's place among those of the run, and on its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Processes:
        """As torchrun says by RANK, WORLD_SIZE and LOCAL_RANK; a single process without it."""
        rank, count, local = (int(environment.get(n, d)) for n, d in _VARIABLES.items())
        return cls(rank, count, local)

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    def device_name(self, asked: str) -> str:
        """Each process its own GPU where several share "cuda" (or "auto" with enough of them)."""
        gpus = asked == "cuda" or (asked == "auto" and torch.cuda.device_count() >= self.count > 1)
        return f"cuda:{self.local_rank}" if gpus and self.count > 1 else asked

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connected to the others (NCCL between GPUs, Gloo between CPUs) for as long as the block runs."""
        if self.count == 1:
            yield
            return
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes."""
        return network if self.count == 1 else DistributedDataParallel(network)

    def wait(self) -> None:
        """Until all processes have come this far."""
        if self.count > 1:
            distributed.barrier()

    def from_first(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """The first process's numbers, in all of them: what is decided by them is then decided alike."""
        shared = torch.tensor(numbers, dtype=torch.float32, device=device)
        if self.count > 1:
            distributed.broadcast(shared, 0)
        return [float(number) for number in shared]

    def share_of(self, batch_size: int) -> int:
        """Samples of each batch that fall to this process. Raises InputError unless all get the same number."""
        if batch_size % self.count:
            raise InputError(
                f"A batch of {batch_size} can't be shared by {self.count} processes.",
                "Choose a batch size that is a multiple of their number.",
            )
        return batch_size // self.count


_VARIABLES = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}


class BatchShare:
    """This process's samples of every batch from ``first_batch`` on; all processes together see each sample once."""

    def __init__(self, batches: int, batch_size: int, first_batch: int, processes: Processes) -> None:
        self._batches, self._batch_size, self._first = batches, batch_size, first_batch
        self._processes = processes
        processes.share_of(batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(self._first, self._batches):
            start = batch * self._batch_size
            yield list(range(start + self._processes.rank, start + self._batch_size, self._processes.count))
