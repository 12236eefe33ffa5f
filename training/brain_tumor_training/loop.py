"""The training loop: phases of growing sampling, AdamW with warm-up and cosine, EMA, bf16, checkpoint and resume."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset

from brain_tumor_training.cache import load_cache
from brain_tumor_training.data import SliceStream
from brain_tumor_training.losses import loss_named
from brain_tumor_training.settings import Phase, TrainingSettings

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 100
LOG_EVERY = 20


def learning_rate(phase: Phase, step: int) -> float:
    """Linear warm-up, then a cosine from the phase's learning rate to a hundredth of it."""
    warm = min(1.0, (step + 1) / max(1, phase.warmup_steps))
    progress = step / max(1, phase.steps)
    return phase.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class Trainer:
    """Trains one network on named patients of a cache and leaves everything about it in a run folder.

    The folder gets settings.json, log.csv (phase, step, loss, learning rate, slices per second), checkpoint.pt, from
    which an interrupted run goes on at the same sample, and at the end weights.pt: the EMA weights.
    """

    def __init__(self, network: nn.Module, settings: TrainingSettings, device: torch.device, run_folder: Path) -> None:
        self._settings = settings
        self._device = device
        self._folder = run_folder
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._ema = AveragedModel(
            self._network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True
        )
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=settings.phases[0].learning_rate, weight_decay=settings.weight_decay
        )
        self._loss = loss_named(settings.loss)
        self._phase, self._step = 0, 0

    def fit(self, cache: Path, names: list[str], workers: int) -> Path:
        """Runs every phase that is left and returns the path of the finished weights."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "settings.json").write_text(json.dumps(asdict(self._settings) | {"patients": names}, indent=1))
        self._resume()
        while self._phase < len(self._settings.phases):
            self._run_phase(self._settings.phases[self._phase], cache, names, workers)
            self._phase, self._step = self._phase + 1, 0
            self._save_checkpoint()
        weights = self._folder / "weights.pt"
        torch.save(self._ema.module.state_dict(), weights)
        return weights

    def _run_phase(self, phase: Phase, cache: Path, names: list[str], workers: int) -> None:
        settings = self._settings
        stream = SliceStream(
            load_cache(cache, names, phase.size_px),
            settings.channels,
            phase.size_px,
            phase.steps * settings.batch_size,
            settings.sampling,
            settings.augmentation,
            settings.seed + self._phase,
        )
        rest = Subset(stream, range(self._step * settings.batch_size, len(stream)))
        loader = DataLoader(rest, settings.batch_size, num_workers=workers, prefetch_factor=6 if workers else None)
        self._network.train()
        started, losses = time.monotonic(), []
        for image, mask in loader:
            losses.append(self._train_step(image, mask, learning_rate(phase, self._step)))
            self._step += 1
            if self._step % LOG_EVERY == 0:
                rate = LOG_EVERY * settings.batch_size / (time.monotonic() - started)
                self._log(sum(losses) / len(losses), learning_rate(phase, self._step), rate)
                started, losses = time.monotonic(), []
            if self._step % CHECKPOINT_EVERY == 0:
                self._save_checkpoint()

    def _train_step(self, image: torch.Tensor, mask: torch.Tensor, rate: float) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        image = image.to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = self._network(image)
        loss = self._loss(logits.float(), mask.to(self._device))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), self._settings.gradient_norm)
        self._optimiser.step()
        self._ema.update_parameters(self._network)
        return float(loss.detach())

    def _log(self, loss: float, rate: float, slices_per_s: float) -> None:
        path = self._folder / "log.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["phase", "step", "loss", "learning_rate", "slices_per_s"])
            writer.writerow([self._phase, self._step, f"{loss:.5f}", f"{rate:.3g}", f"{slices_per_s:.1f}"])
        logger.info("phase %d step %d loss %.4f %.1f slices/s", self._phase, self._step, loss, slices_per_s)

    def _save_checkpoint(self) -> None:
        temporary = self._folder / "checkpoint.pt.part"
        torch.save(
            {
                "phase": self._phase,
                "step": self._step,
                "network": self._network.state_dict(),
                "ema": self._ema.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            },
            temporary,
        )
        os.replace(temporary, self._folder / "checkpoint.pt")

    def _resume(self) -> None:
        path = self._folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self._device, weights_only=True)
        self._phase, self._step = state["phase"], state["step"]
        self._network.load_state_dict(state["network"])
        self._ema.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
