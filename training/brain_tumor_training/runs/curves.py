"""A run's curves for TensorBoard, beside its CSV files: ``tensorboard --logdir RUN/tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class Curves:
    """Event files in folder/phase-K, a TensorBoard run per phase, since each phase counts its steps from 1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._resumed_at = (-1, 0)
        self._writers: dict[int, SummaryWriter] = {}

    def add(self, phase: int, step: int, values: Mapping[str, float]) -> None:
        """Values by name, at a step; on disk when this returns."""
        writer = self._writers.get(phase) or self._open(phase)
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def forget_after(self, phase: int, step: int) -> None:
        """What an interrupted run logged after its last checkpoint will come again: readers are told to drop it."""
        self.close()
        self._resumed_at = (phase, step)

    def close(self) -> None:
        """Ends the files; ``add`` opens new ones."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _open(self, phase: int) -> SummaryWriter:
        # Takes a second to import, which only a training process should pay.
        from torch.utils.tensorboard import SummaryWriter

        last_phase, last_step = self._resumed_at
        kept_steps = last_step if phase == last_phase else 0
        purge = kept_steps + 1 if phase >= last_phase >= 0 else None
        writer = SummaryWriter(str(self._folder / f"phase-{phase}"), purge_step=purge)
        self._writers[phase] = writer
        return writer
