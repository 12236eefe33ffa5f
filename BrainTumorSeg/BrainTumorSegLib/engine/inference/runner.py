"""Run a network over slices in batches, within the memory there is, and say when less than asked for was possible."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from BrainTumorSegLib.engine.errors import Cancelled, MemoryExhaustedError
from BrainTumorSegLib.engine.foreign_errors import is_out_of_memory
from BrainTumorSegLib.engine.inference.device import Compute, choose
from BrainTumorSegLib.engine.inference.transfers import Array, Transfers, Wait, transfers_to
from BrainTumorSegLib.engine.networks.folding import folded, keep_off_slow_convolution
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.intp]
MakeInput = Callable[[Rows], Array]
"""Positions [B] -> network input float32: of slices [B, C, H, W], of views of a whole study [B, C, D, H, W]."""
Apply = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""What is computed of a batch, where the network is: its answer, or one made of several."""

T = TypeVar("T")

_CPU_BATCH = 4
"""Slices of SIZE_PX in float32, as many as its caches hold; of smaller ones, and of smaller numbers, as many bytes, for
starting a layer takes time."""
_GPU_BATCH = 16
"""As above, at most, and a power of two. A million pixels are several times the threads of the largest GPU. Of more,
the host would make a study's only batch while the GPU has nothing to do; and what fits nearly everywhere makes nearly
every run of a study the same, see ``batch_within``."""
_SLICES_NDIM = 4


@dataclass(frozen=True)
class Task:
    """What a network does. one: that, once, such as "segment a slice". fewer: the sentence for when not all fits into
    memory at once, with {batch} for how many do. size_px: side of slices; None for whole studies.
    """

    one: str
    fewer: str
    size_px: int | None = SIZE_PX


@dataclass(frozen=True)
class _Way:
    """How batches are computed. moved, halved: a sentence about each, to be told once this way has helped."""

    transfers: Transfers
    precision: torch.dtype
    batch: int
    moved: tuple[str, ...] = ()
    halved: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Batch:
    """Rows of the result that are being computed, and the way they went."""

    rows: Rows
    way: _Way
    wait: Wait


class _Work:
    """The rows of a result: those that wait, the batches that are being computed, oldest first, and what was found."""

    def __init__(self, rows: int) -> None:
        self.waiting: Rows = np.arange(rows)
        self.started = deque[_Batch]()
        self.logits = np.empty(0, np.float32)
        self._rows, self._done = rows, 0

    @property
    def fraction(self) -> float:
        """How much was found, 0-1."""
        return self._done / self._rows

    def take(self, most: int) -> Rows:
        """The next rows."""
        rows, self.waiting = self.waiting[:most], self.waiting[most:]
        return rows

    def put_back(self, rows: Rows) -> None:
        """Rows that could not be computed so; they come next."""
        self.waiting = np.concatenate([rows, self.waiting])

    def keep(self, rows: Rows, found: Array) -> None:
        """What was found for rows."""
        if self._done == 0:
            self.logits = np.empty((self._rows, *found.shape[1:]), np.float32)
        self.logits[rows] = found
        self._done += len(rows)


def answer(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """What the network says of a batch."""
    logits: torch.Tensor = network(image)
    return logits


class NetworkRunner:
    """A network on a device. After an out-of-memory it halves its batch, then moves to the CPU, and stays there.

    On a GPU the batch is chosen by free memory when the first slices come, and kept: the same slices give the same
    logits, bit for bit, where the batch is the same. notes: sentences for the user about the smaller way that helped.
    """

    def __init__(
        self,
        network: nn.Module,
        compute: Compute,
        task: Task,
        transfers_to: Callable[[torch.device], Transfers] = transfers_to,
    ) -> None:
        """transfers_to: gives those to and from a device."""
        self._network = folded(network)
        self._task = task
        self._transfers_to = transfers_to
        self.notes: tuple[str, ...] = ()
        self._way = self._way_on(compute)
        self._is_fitted = compute.device.type == "cpu" or task.size_px is None
        self._attempt(1, self._way, partial(self._network.to, compute.device))

    @property
    def device(self) -> torch.device:
        """Where the network runs now."""
        return self._way.transfers.device

    @property
    def precision(self) -> torch.dtype:
        """The type it computes in now; float32 means no autocast."""
        return self._way.precision

    def run(
        self,
        make_input: MakeInput,
        positions: Rows,
        on_fraction: Callable[[float], None],
        is_cancelled: Callable[[], bool],
        apply: Apply = answer,
    ) -> Array:
        """Logits float32 [len(positions), ...] of the slices at ``positions``.

        While a GPU computes a batch, the next one is made. Raises Cancelled between batches, MemoryExhaustedError when
        not even one slice fits on the CPU.
        """
        work = _Work(len(positions))
        while len(work.waiting) or work.started:
            if is_cancelled():
                raise Cancelled
            if len(work.waiting):
                self._start_next(work, lambda rows: make_input(positions[rows]), apply)
            if len(work.started) > (self._way.transfers.ahead if len(work.waiting) else 0):
                self._finish_oldest(work)
                on_fraction(work.fraction)
        return work.logits

    def _start_next(self, work: _Work, make_input: MakeInput, apply: Apply) -> None:
        """Sets the device to the next rows; they wait on where memory runs out."""
        if not self._is_fitted:
            self._fit(partial(self._compute, make_input, work.waiting[:1], apply))
        way = self._way
        rows = work.take(way.batch)
        wait = self._attempt(len(rows), way, lambda: way.transfers.fetch(self._compute(make_input, rows, apply)))
        if wait is None:
            work.put_back(rows)
        else:
            work.started.append(_Batch(rows, way, wait))

    def _finish_oldest(self, work: _Work) -> None:
        """Waits for the batch that was started first; its rows wait on where memory ran out over them."""
        batch = work.started.popleft()
        found = self._attempt(len(batch.rows), batch.way, batch.wait)
        if found is None:
            work.put_back(batch.rows)
        else:
            work.keep(batch.rows, found)
            self._tell(batch.way)

    def _compute(self, make_input: MakeInput, rows: Rows, apply: Apply) -> torch.Tensor:
        """Logits float32 [B, ...] on the device, which may still be at it."""
        autocast = torch.autocast(self.device.type, self.precision, enabled=self.precision is not torch.float32)
        deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        with torch.inference_mode(), autocast, deterministic:
            image = self._way.transfers.send(make_input(rows))
            if image.ndim == _SLICES_NDIM:
                image = image.to(memory_format=torch.channels_last)
            return apply(self._network, image).float()

    def _fit(self, compute_one: Callable[[], object]) -> None:
        """Chooses the batch by what one slice takes."""
        self._is_fitted = True
        way = self._way
        batch = self._attempt(1, way, lambda: way.transfers.fitting_batch(compute_one, way.batch))
        if batch is not None:
            self._way = replace(way, batch=batch)

    def _attempt(self, size: int, way: _Way, action: Callable[[], T]) -> T | None:
        """What an action for so many positions gives; None where memory ran out, and less is used from now on.

        Raises MemoryExhaustedError where there is nothing smaller to try.
        """
        try:
            return action()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.warning("%s, to %s, %d at a time: %s", self.device, self._task.one, size, error)
            # They hold the feature maps of the attempt: the very memory that is wanted.
            traceback.clear_frames(error.__traceback__)
            if way is self._way:  # or else a batch that was started before has already led to a smaller way
                self._way = self._smaller(size, error)
            return None

    def _smaller(self, size: int, error: Exception) -> _Way:
        """The way after the present one, which failed for ``size`` positions: half of them, or the CPU."""
        if size > 1:
            batch = size // 2
            return replace(self._way, batch=batch, halved=(self._task.fewer.format(batch=batch),))
        if self.device.type == "cpu":
            raise MemoryExhaustedError(
                f"There is not enough memory to {self._task.one} on the CPU.",
                "Close other programs, or use a machine with more memory.",
            ) from error
        moved = f"The memory of {self.device} did not suffice to {self._task.one}; the CPU was used instead."
        left = self._way.transfers
        cpu = choose("cpu")
        self._network.to(cpu.device)
        left.leave()
        return replace(self._way_on(cpu), moved=(moved,))

    def _way_on(self, compute: Compute) -> _Way:
        """How to begin on a device; readies the network for it."""
        on_cpu = compute.device.type == "cpu"
        if on_cpu:
            keep_off_slow_convolution(self._network)
        batch = _CPU_BATCH * torch.float32.itemsize // compute.precision.itemsize if on_cpu else _GPU_BATCH
        if self._task.size_px is not None:
            batch = max(1, batch * SIZE_PX**2 // self._task.size_px**2)
        return _Way(self._transfers_to(compute.device), compute.precision, batch)

    def _tell(self, way: _Way) -> None:
        """Notes what was done about memory, now that it has helped."""
        notes = (*way.moved, *way.halved)
        if way is self._way and notes != self.notes:
            logger.warning(" ".join(notes))
            self.notes = notes
