"""Read a MONAI bundle: its metadata and its network with weights. Nothing in it is ever unpickled or executed."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from BrainTumorSegLib.engine.errors import ModelError
from BrainTumorSegLib.engine.networks.inputs import CHANNELS, SIZE_PX
from BrainTumorSegLib.engine.networks.registry import NETWORKS, Task, build_network, refiner_of

_REMEDY = "Download the model again, or import its file."
_METADATA = "configs/metadata.json"
_WEIGHTS = "models/model.pt"


@dataclass(frozen=True)
class Recommendation:
    """What training found best, on training patients only; the defaults of a run.

    temperature: logits are divided by it, so that probabilities are calibrated. threshold: see SegmentSettings.
    gate: of the classifier bundle only. min_volume_ml: of the segmentation bundle only.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    gate: float = 0.0
    min_volume_ml: float = 0.0


@dataclass(frozen=True)
class Bundle:
    """A network ready for inference.

    channels: names of preprocessing.CHANNELS in input order. size_px: rows and columns of the slices it takes; a
    segmentation's are preprocessing.SIZE_PX.
    """

    name: str
    version: str
    network: nn.Module
    channels: tuple[str, ...]
    recommendation: Recommendation
    size_px: int = SIZE_PX

    @property
    def refiner(self) -> nn.Module | None:
        """The part of the network that sees the whole study, where it has one; see refinement.py."""
        return refiner_of(self.network)


def load_bundle(path: Path) -> Bundle:
    """Loads a bundle from its zip file. Raises ModelError for anything that is not one this version can run."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = _root_of(archive)
            metadata = json.loads(archive.read(root + _METADATA))
            weights = archive.read(root + _WEIGHTS)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.name} is not a complete model bundle: {error}.", _REMEDY) from error
    return _assemble(path.name, metadata, weights)


def _root_of(archive: zipfile.ZipFile) -> str:
    """The folder inside the archive that holds the bundle, with a slash; zips of MONAI's model zoo have one."""
    found = [name for name in archive.namelist() if name.endswith(_METADATA)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} files named {_METADATA}")
    return found[0].removesuffix(_METADATA)


def _assemble(file: str, metadata: dict[str, Any], weights: bytes) -> Bundle:
    try:
        own = metadata["braintumorseg"]
        network = build_network(own["network"], own["arguments"])
        channels = tuple(own["channels"])
        recommendation = Recommendation(**own["recommendation"])
        unknown = set(channels) - set(CHANNELS)
        if unknown:
            raise KeyError(f"unknown input channels {sorted(unknown)}")
        size_px = _size_px(metadata, NETWORKS[own["network"]].task)
        state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
        name, version = metadata["name"], metadata["version"]
    except (KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"The model in {file} does not fit this version of BrainTumorSeg: {error}.", _REMEDY
        ) from error
    return Bundle(name, version, network.eval(), channels, recommendation, size_px)


def _size_px(metadata: dict[str, Any], task: Task) -> int:
    """Side of the slices that the bundle says it takes. Raises KeyError for one that the pipeline can't give."""
    height, width = metadata["network_data_format"]["inputs"]["image"]["spatial_shape"]
    smallest = SIZE_PX if task is Task.SEGMENTATION else 1
    if height != width or height < smallest or SIZE_PX % height:
        raise KeyError(f"slices of {height} x {width} pixels")
    return int(height)
