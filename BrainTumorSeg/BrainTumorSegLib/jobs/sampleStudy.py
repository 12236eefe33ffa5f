"""The synthetic study in Slicer's Sample Data module: made on this computer, so nothing is downloaded."""

from __future__ import annotations

import importlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import slicer

from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.jobs.childProcess import childEnvironment, engineCommand

NAME = "BrainTumorSegSample"
SEQUENCES = ("flair", "t1", "t1c")


def registerSampleStudy() -> None:
    """Offer the study in the Sample Data module; called once the application has started."""
    try:
        sampleData = importlib.import_module("SampleData")
    except ModuleNotFoundError:
        return  # a Slicer built without that module
    sampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="BrainTumorSeg",
        sampleName=NAME,
        # One address and file name a node is expected, even where a function of ours makes them on this computer.
        uris=[f"{NAME}:{name}" for name in SEQUENCES],
        fileNames=[f"{name}.nii.gz" for name in SEQUENCES],
        nodeNames=[f"{NAME} {name.upper()}" for name in SEQUENCES],
        customDownloader=loadSampleStudy,
    )


def loadSampleStudy(_source: Any = None) -> list[Any]:
    """Make the synthetic study and load its three volumes. Returns their nodes, FLAIR first.

    Raises BrainTumorSegError if it can't be made, which is shown too: the Sample Data module shows nothing.
    """
    with slicer.util.tryWithErrorDisplay("The sample study could not be loaded.", waitCursor=True):
        return _loadSampleStudy()


def _loadSampleStudy() -> list[Any]:
    with tempfile.TemporaryDirectory(prefix="BrainTumorSeg-", dir=slicer.app.temporaryPath) as folder:
        _makeStudy(folder)
        return [
            slicer.util.loadVolume(str(Path(folder, f"{name}.nii.gz")), {"name": f"{NAME} {name.upper()}"})
            for name in SEQUENCES
        ]


def _makeStudy(folder: str) -> None:
    environment = childEnvironment(slicer.util.startupEnvironment())
    process = subprocess.Popen(
        engineCommand("sample", folder),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # there on Windows alone
    )
    while True:
        try:
            # The answer is a line or two, far less than the pipe holds.
            said = process.communicate(timeout=0.05)[1]
            break
        except subprocess.TimeoutExpired:
            slicer.app.processEvents()
    if process.returncode != 0:
        reason = said.decode(errors="replace").strip()
        raise BrainTumorSegError(f"The sample study could not be made: {reason}", "See the message; then try again.")
