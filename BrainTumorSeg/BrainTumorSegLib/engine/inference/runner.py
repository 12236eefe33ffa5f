"""Run a network over slices in batches, within the memory there is, and say when less than asked for was possible."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from BrainTumorSegLib.engine.errors import Cancelled, MemoryExhaustedError
from BrainTumorSegLib.engine.foreign_errors import is_out_of_memory
from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.networks.folding import folded, keep_off_slow_convolution
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX

logger = logging.getLogger(__name__)

MakeInput = Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float32]]
"""Positions [B] -> network input float32: of slices [B, C, H, W], of views of a whole study [B, C, D, H, W]."""

_CPU_BATCH = 4
"""Slices of SIZE_PX, as many as its caches hold; of smaller ones as many pixels, for starting a layer takes time."""
_GPU_BATCH = 32
_SLICES_NDIM = 4


class NetworkRunner:
    """A network on a device. After an out-of-memory it halves its batch, then moves to the CPU, and stays there.

    notes: sentences for the user about each such step that helped.
    """

    def __init__(
        self,
        network: nn.Module,
        compute: Compute,
        one: str = "a single slice",
        many: str = "slices",
        size_px: int = SIZE_PX,
    ) -> None:
        """one, many: what is at a position, for what is told about memory. size_px: side of slices."""
        self._network = folded(network).to(compute.device)
        self._device = compute.device
        self._precision = compute.precision
        self._batch = _GPU_BATCH
        if compute.device.type == "cpu":
            self._batch = max(1, _CPU_BATCH * SIZE_PX**2 // size_px**2)
            keep_off_slow_convolution(self._network)
        self._one, self._many = one, many
        self._untold: str | None = None
        self.notes: list[str] = []

    @property
    def device(self) -> torch.device:
        """Where the network runs now."""
        return self._device

    @property
    def precision(self) -> torch.dtype:
        """The type it computes in now; float32 means no autocast."""
        return self._precision

    def run(
        self,
        make_input: MakeInput,
        positions: npt.NDArray[np.intp],
        on_fraction: Callable[[float], None],
        is_cancelled: Callable[[], bool],
    ) -> npt.NDArray[np.float32]:
        """Logits float32 [len(positions), ...] of the slices at ``positions``.

        Raises Cancelled between batches, MemoryExhaustedError when not even one slice fits on the CPU.
        """
        logits = np.empty(0, np.float32)
        done = 0
        while done < len(positions):
            if is_cancelled():
                raise Cancelled
            batch = positions[done : done + self._batch]
            try:
                found = self._forward(make_input(batch))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._use_less_memory(len(batch), error)
                continue
            self._tell()
            if done == 0:
                logits = np.empty((len(positions), *found.shape[1:]), np.float32)
            logits[done : done + len(batch)] = found
            done += len(batch)
            on_fraction(done / len(positions))
        return logits

    @torch.inference_mode()
    def _forward(self, array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        image = torch.from_numpy(array).to(self._device)
        if image.ndim == _SLICES_NDIM:
            image = image.to(memory_format=torch.channels_last)
        autocast = torch.autocast(self._device.type, self._precision, enabled=self._precision is not torch.float32)
        with autocast, torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            return self._network(image).float().cpu().numpy()

    def _use_less_memory(self, tried: int, error: Exception) -> None:
        """Halve what was tried, or go to the CPU. Raises MemoryExhaustedError where there is nothing smaller to try."""
        if tried > 1:
            self._batch = tried // 2
            self._untold = f"Memory ran out; {self._many} are computed {self._batch} at a time."
        elif self._device.type != "cpu":
            self._untold = f"The memory of {self._device} does not suffice; the CPU was used instead."
            self._device, self._precision = torch.device("cpu"), torch.float32
            self._network = self._network.to(self._device)
            self._batch = _CPU_BATCH
        else:
            raise MemoryExhaustedError(
                f"There is not enough memory to compute {self._one} on the CPU.",
                "Close other programs, or use a machine with more memory.",
            ) from error

    def _tell(self) -> None:
        """Note what was done about memory, now that it has helped."""
        if self._untold is not None:
            logger.warning(self._untold)
            self.notes.append(self._untold)
            self._untold = None
