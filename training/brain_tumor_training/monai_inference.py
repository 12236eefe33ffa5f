"""The parts that an exported bundle's inference.json names, so that MONAI's bundle runner can run it on a study.

They are thin: reading, sampling and postprocessing are the engine's own, as in ``braintumorseg segment``, which also
joins classifier and segmentation and writes what 3D Slicer opens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import MapTransform, SaveImaged
from scipy.special import expit
from torch import nn

from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.inference.preprocessing import prepare
from BrainTumorSegLib.engine.inference.refinement import refine
from BrainTumorSegLib.engine.inference.slice_scores import slice_probabilities
from BrainTumorSegLib.engine.measurement.mask import mask_from_probability
from BrainTumorSegLib.engine.models.bundle import Recommendation
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.networks.registry import NETWORKS, Task, build_network
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study
from BrainTumorSegLib.engine.study.study import Study

SOURCE = "filename_or_obj"
"""MONAI's name for where an image came from, in a MetaTensor's meta."""


_NEIGHBOUR_STEP = "neighbour_step"
_FLAIR = re.compile("flair", re.IGNORECASE)


def bundle_network(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The registry's network with a channel axis behind the batch also for a classifier: logits [B, 1].

    A hook adds it, so that the names of the weights stay.
    """
    network = build_network(name, arguments)
    if NETWORKS[name].task is Task.CLASSIFICATION:
        network.register_forward_hook(lambda _module, _inputs, logits: logits[:, None])
    return network


def study_at(path: Path) -> Study:
    """The study in a folder, or that of a FLAIR file: T1 and T1c are the files beside it of the same name.

    In a folder FLAIR is flair.nii.gz. NAME_flair.nii.gz has NAME_t1.nii.gz and NAME_t1c.nii.gz beside it, where there
    are; a file whose name has no "flair" stands alone. Raises InputError.
    """
    flair = path / "flair.nii.gz" if path.is_dir() else path
    t1, t1c = (_companion(flair, name) for name in ("t1", "t1c"))
    return read_study(StudyPaths(flair, t1, t1c))


def _companion(flair: Path, sequence: str) -> Path | None:
    path = flair.with_name(_FLAIR.sub(sequence, flair.name))
    return path if path != flair and path.exists() else None


class StudyToSlices:
    """Transform {"image": path of a study} to {"image": MetaTensor float32 [C, S, size, size]}, inferior first.

    path: see study_at. The tensor's meta also has FLAIR's own grid, as MONAI names it, for what comes after.
    """

    def __init__(self, channels: Sequence[str], size_px: int = SIZE_PX) -> None:
        self._channels = tuple(channels)
        self._size_px = size_px

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Raises InputError for a study that can't be read."""
        study = study_at(Path(data["image"]))
        slices = prepare(study)
        planes = slices.channels(self._channels, np.arange(len(slices)), self._size_px)
        image = MetaTensor(torch.from_numpy(np.ascontiguousarray(np.swapaxes(planes, 0, 1))))
        image.meta[SOURCE] = str(data["image"])
        image.meta[_NEIGHBOUR_STEP] = slices.neighbour_step
        image.meta["spatial_shape"] = np.array(study.geometry.size_ijk)
        image.meta["original_affine"] = _affine_ras(study.geometry)
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


class BundleRefiner:
    """The refiner of a bundle's network, on the CPU, as ``engine/inference/refinement.py`` takes it."""

    def __init__(self, name: str, arguments: Mapping[str, Any], weights: str) -> None:
        """weights: the bundle's model.pt, read when the first study comes."""
        self._name, self._arguments, self._weights = name, arguments, weights
        self._refiner: nn.Module | None = None

    @torch.inference_mode()
    def __call__(self, study: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Maps [B, 4, D, H, W] to corrections [B, 1, D, H, W]."""
        if self._refiner is None:
            network = build_network(self._name, self._arguments)
            network.load_state_dict(torch.load(self._weights, map_location="cpu", weights_only=True))
            self._refiner = network.eval().get_submodule("refiner")
        return self._refiner(torch.from_numpy(study)).numpy()


class TumourOnFlair:
    """Logits "pred" [1, S, 256, 256] to a label map on FLAIR's own grid, as ``braintumorseg segment`` makes it.

    "pred" becomes a MetaTensor uint8 [1, I, J, K] (0, 1), MONAI's axes, with FLAIR's affine in RAS; "probability" and
    "tumour" are the engine's volumes. refiner: of a bundle whose network has one.
    """

    def __init__(self, recommendation: Mapping[str, float], refiner: BundleRefiner | None = None) -> None:
        self._recommendation = Recommendation(**recommendation)
        self._refiner = refiner

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data has the image with its path."""
        study = study_at(Path(data["image"].meta[SOURCE]))
        chosen, slices = self._recommendation, prepare(study)
        logits = slices.of_slices(np.array(data["pred"][0].cpu(), np.float32))
        if self._refiner is not None:
            logits = refine(self._refiner, slices.sequences, logits, slices.neighbour_step)
        maps = expit(logits / chosen.temperature)
        probability = np.clip(slices.restore(maps.astype(np.float32)), 0.0, 1.0)
        mask = mask_from_probability(probability, study.geometry, chosen.threshold, chosen.min_volume_ml)
        labels = torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 1, 0), np.uint8))[None]
        volumes = {
            name: Volume(array, study.geometry) for name, array in (("probability", probability), ("tumour", mask))
        }
        return {**data, **volumes, "pred": MetaTensor(labels, affine=torch.from_numpy(_affine_ras(study.geometry)))}


class SaveTumour(SaveImaged):
    """Writes probability.nrrd and tumour.nrrd (labels 0, 1) on FLAIR's grid into output_dir/NAME-OF-THE-STUDY.

    A SaveImaged by its type alone: MONAI Label, which keeps results itself, leaves such transforms out.
    recommendation: what bundles up to 0.2.0 give, which have no TumourOnFlair before this; gone with them.
    """

    def __init__(self, output_dir: str, recommendation: Mapping[str, float] | None = None) -> None:
        # Not SaveImaged's own: it asks for a writer of NIfTI, which nothing here needs.
        MapTransform.__init__(self, "pred")
        self._output = Path(output_dir)
        self._before = None if recommendation is None else TumourOnFlair(recommendation)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data has the volumes of TumourOnFlair."""
        data = data if self._before is None else self._before(data)
        target = _folder_for(self._output, data["image"])
        for name in ("probability", "tumour"):
            sitk.WriteImage(data[name].to_image(), str(target / f"{name}.nrrd"), True)
        return dict(data)


class SaveScores:
    """Writes scores.json, the tumour probability of each slice, inferior first, into output_dir/NAME-OF-THE-FOLDER."""

    def __init__(self, output_dir: str, recommendation: Mapping[str, float]) -> None:
        self._output = Path(output_dir)
        self._recommendation = Recommendation(**recommendation)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data has the image with its folder, and the logits "pred" [1, S]."""
        logits = np.asarray(data["pred"][0], np.float64)
        step = data["image"].meta[_NEIGHBOUR_STEP]
        scores = slice_probabilities(logits, step, self._recommendation.temperature)
        target = _folder_for(self._output, data["image"])
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


def _affine_ras(geometry: Geometry) -> npt.NDArray[np.float64]:
    """From voxel (i, j, k, 1) to RAS millimetres, as MONAI and NIfTI have it."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.affine_lps


def _folder_for(output: Path, image: MetaTensor) -> Path:
    """A study's own folder, made: named like its folder, or its FLAIR file without ending."""
    source = Path(image.meta[SOURCE])
    folder = output / (source.name if source.is_dir() else source.name.split(".")[0])
    folder.mkdir(parents=True, exist_ok=True)
    return folder
