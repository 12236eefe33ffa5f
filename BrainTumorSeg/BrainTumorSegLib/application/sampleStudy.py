"""The synthetic study in Slicer's Sample Data module: files of this extension, which Slicer checks by their SHA-256."""

from __future__ import annotations

import importlib
from pathlib import Path

NAME = "BrainTumorSegSample"
SHA256 = {
    "flair": "c5dd0ab3246a559a0e00b9a6c96c506d8050ec31654e7384a6a276ce1ba6d32e",
    "t1": "de9f8f2e2257b5e8912a198d8b487907acd43003b0624ea2a9834ea7fcd5c7cd",
    "t1c": "9b23424cee63597c93e3bc90074987f0928903a05fa1828cab3f472cf8a9141e",
}
"""Of each sequence's file; the registration is in this order, FLAIR first."""


def registerSampleStudy(resources: Path) -> None:
    """Offer the study in the Sample Data module; to be called once the application has started.

    resources: the module's folder Resources. Slicer copies the files into its cache, and refuses one whose SHA-256 is
    another.
    """
    try:
        sampleData = importlib.import_module("SampleData")
    except ModuleNotFoundError:
        return  # a Slicer built without that module
    # The cache is one folder for all extensions: the names must be nobody else's.
    fileNames = [f"{NAME}_{sequence}.nii.gz" for sequence in SHA256]
    sampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="BrainTumorSeg",
        sampleName=NAME,
        uris=[(resources / "SampleStudy" / fileName).resolve().as_uri() for fileName in fileNames],
        fileNames=fileNames,
        nodeNames=[nodeName(sequence) for sequence in SHA256],
        checksums=[f"SHA256:{digest}" for digest in SHA256.values()],
        thumbnailFileName=str(resources / "Icons" / f"{NAME}.png"),
    )


def nodeName(sequence: str) -> str:
    """What the volume of a sequence ("flair", "t1", "t1c") is called in the scene."""
    return f"{NAME} {sequence.upper()}"
