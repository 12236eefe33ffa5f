"""Small real bundles for tests: true networks with fixed weights, packed as a release packs them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import torch
from torch import nn

from BrainTumorSegLib.engine.models.bundle import load_bundle
from BrainTumorSegLib.engine.models.index import ModelProvenance
from BrainTumorSegLib.engine.models.loading import Model
from BrainTumorSegLib.engine.networks.registry import build_network

CHANNELS_2D = ["t1", "flair", "t1c"]


def write_bundle(path: Path, module: nn.Module, size_px: int = 256, **own: object) -> Path:
    """Packs a module's weights; ``own`` completes the metadata's braintumorseg section."""
    weights = io.BytesIO()
    torch.save(module.state_dict(), weights)
    metadata = {
        "name": path.stem,
        "version": "1.0.0",
        "network_data_format": {"inputs": {"image": {"spatial_shape": [size_px, size_px]}}},
        "braintumorseg": {"recommendation": {}, **own},
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/configs/metadata.json", json.dumps(metadata))
        archive.writestr(f"{path.stem}/models/model.pt", weights.getvalue())
    return path


def bright_flair_network() -> nn.Module:
    """A ResUNet whose weights say tumour (logit about +-10) where normalised FLAIR is over 0.25, and nothing else.

    All residual stages are silenced; the stem passes relu(FLAIR + 1) on unchanged and the last decoder's shortcut
    hands it to the output: so what the pipeline does around the network can be checked exactly.
    """
    network = build_network("ResUNet", {"input_channels": 3})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(1.0)
        network.stem[0].weight[0, CHANNELS_2D.index("flair"), 1, 1] = 1.0
        network.stem[0].bias[0] = 1.0
        network.stem[3].weight[0, 0, 1, 1] = 1.0
        network.decoder[-1].shortcut[0].weight[0, 32, 0, 0] = 1.0
        network.output.weight[0, 0] = 40.0
        network.output.bias[0] = -50.0
    return network.eval()


def bright_slice_classifier() -> nn.Module:
    """A classifier of random weights and seed 0: its scores mean nothing, but they are real and reproducible."""
    torch.manual_seed(0)
    return build_network("EfficientNetLite0Classifier", {"input_channels": 3})


def bright_flair_model(folder: Path, gate: float = 0.0) -> Model:
    """The threshold network above behind a real (untrained) classifier, loaded from real zip files."""
    segmentation = write_bundle(
        folder / "bright.zip",
        bright_flair_network(),
        network="ResUNet",
        arguments={"input_channels": 3},
        channels=CHANNELS_2D,
    )
    classifier = write_bundle(
        folder / "slices.zip",
        bright_slice_classifier(),
        size_px=128,
        network="EfficientNetLite0Classifier",
        arguments={"input_channels": 3},
        channels=CHANNELS_2D,
        recommendation={"gate": gate},
    )
    return Model(
        load_bundle(segmentation),
        ModelProvenance("bright", "1.0.0", "0" * 64, "none"),
        load_bundle(classifier),
        ModelProvenance("slices", "1.0.0", "0" * 64, "none"),
    )
