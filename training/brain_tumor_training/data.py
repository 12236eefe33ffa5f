"""An endless, reproducible stream of training slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from monai.data import set_track_meta
from torch.utils.data import Dataset

from brain_tumor_training.augmentation import build_augmentation
from brain_tumor_training.cache import CachedPatient
from brain_tumor_training.settings import AugmentationSettings, SamplingSettings
from BrainTumorSegLib.engine.normalisation import BACKGROUND
from BrainTumorSegLib.engine.preprocessing import CHANNELS


class SliceStream(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Sample number n is a function of (seed, n) alone: workers and resumed runs see the same data in the same order.

    Items: (image float32 [C, size, size], mask float32 [1, size, size]), normalised as the engine does.
    """

    def __init__(
        self,
        patients: Sequence[CachedPatient],
        channels: Sequence[str],
        size_px: int,
        length: int,
        sampling: SamplingSettings,
        augmentation: AugmentationSettings,
        seed: int,
    ) -> None:
        set_track_meta(False)
        self._patients = patients
        self._channels = [CHANNELS[name] for name in channels]
        self._length = length
        self._sampling = sampling
        self._augment = build_augmentation(augmentation, size_px)
        self._seed = seed
        slices = [
            (p, s, bool(patient.mask[s].any())) for p, patient in enumerate(patients) for s in range(len(patient.mask))
        ]
        self._with_tumour = [(p, s) for p, s, tumour in slices if tumour]
        self._without_tumour = [(p, s) for p, s, tumour in slices if not tumour]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self._seed, index))
        pool = self._with_tumour if rng.random() < self._sampling.tumour_share else self._without_tumour
        patient, position = pool[rng.integers(len(pool))]
        image, mask = self._take(self._patients[patient], position, rng)
        self._augment.set_random_state(seed=int(rng.integers(2**31)))
        sample = self._augment({"image": torch.from_numpy(image), "mask": torch.from_numpy(mask)})
        values = sample["image"].clamp(0, 4) + BACKGROUND
        return torch.as_tensor(values), torch.as_tensor(sample["mask"])

    def _take(
        self, patient: CachedPatient, position: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        variant = patient.variants[1 if rng.random() < self._sampling.brain_share else 0]
        dropped = {0: rng.random() < self._sampling.sequence_drop, 2: rng.random() < self._sampling.sequence_drop}
        alone = rng.random() < self._sampling.neighbour_drop
        planes = []
        for sequence, offset in self._channels:
            source = 1 if dropped.get(sequence, False) else sequence
            neighbour = position if alone else min(max(position + offset, 0), len(patient.mask) - 1)
            planes.append(variant[source, neighbour])
        image = np.stack(planes).astype(np.float32) - BACKGROUND
        return image, patient.mask[position][None].astype(np.float32)
