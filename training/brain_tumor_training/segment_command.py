"""Run the real command ``braintumorseg segment`` in a process of its own and read back what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.axial import AxialOrder
from BrainTumorSegLib.engine.errors import BrainTumorSegError, GeometryError
from BrainTumorSegLib.engine.geometry import Geometry, Volume
from BrainTumorSegLib.engine.reading import StudyPaths

_CODE_VARIABLE = "PYTHONPATH"


@dataclass(frozen=True)
class Segmentation:
    """What the command wrote: mask bool and probability float32, both axial [S, H, W]; its report; wall seconds."""

    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    report: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class SegmentCommand:
    """How to call it. options: more of its own (``--model NAME``, ``--gate off`` ...).

    code: a folder with BrainTumorSegLib to run instead of this process's own (see staging).
    """

    options: tuple[str, ...] = ()
    code: Path | None = None

    def run(self, paths: StudyPaths) -> Segmentation:
        """Segments a study. Raises BrainTumorSegError with the command's own words if it fails."""
        with TemporaryDirectory() as folder:
            outputs = {
                "--output": Path(folder, "mask.seg.nrrd"),
                "--probability": Path(folder, "probability.nrrd"),
                "--report": Path(folder, "report.json"),
            }
            started = time.monotonic()
            self._call(_pairs({"--flair": paths.flair, "--t1": paths.t1, "--t1c": paths.t1c, **outputs}))
            seconds = time.monotonic() - started
            geometry = Geometry.of_image(sitk.ReadImage(str(paths.flair)))
            return Segmentation(
                np.asarray(_axial(outputs["--output"], geometry)) > 0,
                np.asarray(_axial(outputs["--probability"], geometry), np.float32),
                json.loads(outputs["--report"].read_text()),
                seconds,
            )

    def _call(self, files: Sequence[str]) -> None:
        command = [sys.executable, "-m", "BrainTumorSegLib", "segment", *files, *self.options]
        environment = dict(os.environ)
        if self.code is not None:
            earlier = environment.get(_CODE_VARIABLE)
            environment[_CODE_VARIABLE] = os.pathsep.join([str(self.code), *([earlier] if earlier else [])])
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise BrainTumorSegError(
                f"`braintumorseg segment` ended with exit code {done.returncode}: {done.stderr.strip()[-500:]}",
                "Mend what it says and evaluate again.",
            )


def _pairs(arguments: dict[str, Path | None]) -> list[str]:
    return [part for option, path in arguments.items() if path is not None for part in (option, str(path))]


def _axial(path: Path, geometry: Geometry) -> npt.NDArray[Any]:
    """The volume [S, H, W], inferior first. Raises GeometryError if it does not lie on FLAIR's grid to 1e-6."""
    volume = Volume.of_image(sitk.ReadImage(str(path)))
    if not volume.geometry.is_close_to(geometry):
        raise GeometryError(f"{path.name} does not lie on FLAIR's grid.", "This is a defect; please report it.")
    return AxialOrder.of(geometry).to_axial(volume.array)
