"""The parts that an exported bundle's inference.json names, so that MONAI's bundle runner can run it on a study.

They are thin: reading, sampling and postprocessing are the engine's own, as in ``braintumorseg segment``, which also
joins classifier and segmentation and writes what 3D Slicer opens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from scipy.special import expit
from torch import nn

from BrainTumorSegLib.engine.bundle import Recommendation
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.geometry import Volume
from BrainTumorSegLib.engine.networks.registry import NETWORKS, Task, build_network
from BrainTumorSegLib.engine.postprocessing import mask_from_probability
from BrainTumorSegLib.engine.preprocessing import SIZE_PX, prepare
from BrainTumorSegLib.engine.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study import Study

FOLDER = "filename_or_obj"
"""MONAI's name for where an image came from, in a MetaTensor's meta."""


def bundle_network(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The registry's network with a channel axis behind the batch also for a classifier: logits [B, 1].

    A hook adds it, so that the names of the weights stay.
    """
    network = build_network(name, arguments)
    if NETWORKS[name].task is Task.CLASSIFICATION:
        network.register_forward_hook(lambda _module, _inputs, logits: logits[:, None])
    return network


def study_in(folder: Path) -> Study:
    """The study in a folder: flair.nii.gz and, where there are, t1.nii.gz and t1c.nii.gz. Raises InputError."""
    t1, t1c = (path if path.exists() else None for path in (folder / "t1.nii.gz", folder / "t1c.nii.gz"))
    return read_study(StudyPaths(folder / "flair.nii.gz", t1, t1c))


class StudyToSlices:
    """Transform {"image": folder of a study} to {"image": MetaTensor float32 [C, S, size, size]}, inferior first."""

    def __init__(self, channels: Sequence[str], size_px: int = SIZE_PX) -> None:
        self._channels = tuple(channels)
        self._size_px = size_px

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Raises InputError for a study that can't be read."""
        slices = prepare(study_in(Path(data["image"])))
        planes = slices.channels(self._channels, np.arange(len(slices)), self._size_px)
        image = MetaTensor(torch.from_numpy(np.ascontiguousarray(np.swapaxes(planes, 0, 1))))
        image.meta[FOLDER] = str(data["image"])
        return {**data, "image": image}


class SliceClassifierInferer(Inferer):
    """Logits [B, 1, S] of a network that classifies slices, for volumes [B, C, S, H, W]."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self._batch_size = batch_size

    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """Slices go through the network in batches."""
        slices = inputs.transpose(1, 2).flatten(0, 1)
        logits = torch.cat([network(some, *args, **kwargs) for some in slices.split(self._batch_size)])
        return logits.reshape(inputs.shape[0], 1, inputs.shape[2])


class SaveTumour:
    """Writes probability.nrrd and tumour.nrrd (labels 0, 1) on FLAIR's grid into output_dir/NAME-OF-THE-FOLDER."""

    def __init__(self, output_dir: str, recommendation: Mapping[str, float]) -> None:
        self._output = Path(output_dir)
        self._recommendation = Recommendation(**recommendation)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data has the image with its folder, and the logits "pred" [1, S, 256, 256]."""
        folder = Path(data["image"].meta[FOLDER])
        study = study_in(folder)
        maps = expit(np.asarray(data["pred"][0], np.float32) / self._recommendation.temperature)
        probability = np.clip(prepare(study).restore(maps.astype(np.float32)), 0.0, 1.0)
        chosen = self._recommendation
        mask = mask_from_probability(probability, study.geometry, chosen.threshold, chosen.min_volume_ml)
        target = _made(self._output / folder.name)
        for name, array in (("probability", probability), ("tumour", mask)):
            sitk.WriteImage(Volume(array, study.geometry).to_image(), str(target / f"{name}.nrrd"), True)
        return {**data, "probability": probability, "mask": mask}


class SaveScores:
    """Writes scores.json, the tumour probability of each slice, inferior first, into output_dir/NAME-OF-THE-FOLDER."""

    def __init__(self, output_dir: str, recommendation: Mapping[str, float]) -> None:
        self._output = Path(output_dir)
        self._recommendation = Recommendation(**recommendation)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data has the image with its folder, and the logits "pred" [1, S]."""
        scores = expit(np.asarray(data["pred"][0], np.float64) / self._recommendation.temperature)
        target = _made(self._output / Path(data["image"].meta[FOLDER]).name)
        (target / "scores.json").write_text(json.dumps([round(float(score), 5) for score in scores]) + "\n")
        return {**data, "scores": scores}


class StudyEvaluator:
    """Runs studies one after another through preprocessing, network and postprocessing; needs no Ignite."""

    def __init__(
        self,
        dataset: Iterable[Mapping[str, Any]],
        network: nn.Module,
        inferer: Inferer,
        postprocessing: Callable[[dict[str, Any]], dict[str, Any]],
        device: torch.device,
    ) -> None:
        self._dataset, self._inferer, self._postprocessing = dataset, inferer, postprocessing
        self._network, self._device = network, device

    @torch.inference_mode()
    def run(self) -> list[dict[str, Any]]:
        """What the postprocessing returned for each study. Raises InputError if there are none."""
        self._network.to(self._device).eval()
        results = []
        for data in self._dataset:
            image = data["image"]
            logits = self._inferer(image.as_tensor()[None].to(self._device), self._network)
            results.append(self._postprocessing({**data, "pred": logits[0].float().cpu()}))
        if not results:
            raise InputError("There is no study to run.", "Give --dataset_dir DIR with a folder per study.")
        return results


def study_list(dataset_dir: str) -> list[dict[str, str]]:
    """MONAI's data list of the studies in a folder: itself, or each folder in it, that holds flair.nii.gz."""
    root = Path(dataset_dir)
    folders = [root, *sorted(path for path in root.glob("*") if path.is_dir())]
    return [{"image": str(folder)} for folder in folders if (folder / "flair.nii.gz").is_file()]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
