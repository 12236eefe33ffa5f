"""A bundle's inference.json, by which MONAI's own runner runs it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from brain_tumor_training.bundles.description import BundleDescription
from BrainTumorSegLib.engine.networks.inputs import SIZE_PX
from BrainTumorSegLib.engine.networks.registry import Task, build_network, refiner_of

_PARTS = "brain_tumor_training.monai_inference"


def monai_inference_config(description: BundleDescription) -> dict[str, Any]:
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
