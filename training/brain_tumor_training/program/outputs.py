"""What the shipped segmentation writes for a study, read back for comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from BrainTumorSegLib.engine.errors import DefectError
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.axial import AxialOrder
from BrainTumorSegLib.engine.study.geometry import Geometry, Volume
from BrainTumorSegLib.engine.study.reading import StudyPaths


@dataclass(frozen=True)
class Segmentation:
    """mask bool and probability float32, both axial [S, H, W], inferior first; the report; wall seconds."""

    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    report: dict[str, Any]
    seconds: float


class SegmentsStudies(Protocol):
    """A way to have the shipped program segment studies."""

    def run(self, paths: StudyPaths, options: RunSettings) -> Segmentation:
        """Segments a study. Raises BrainTumorSegError with the program's own words if it fails."""


@dataclass(frozen=True)
class OutputFiles:
    """The files to ask for, in a folder that holds nothing else."""

    folder: Path

    @property
    def segmentation(self) -> Path:
        """The mask."""
        return self.folder / "mask.seg.nrrd"

    @property
    def probability(self) -> Path:
        """The probability volume."""
        return self.folder / "probability.nrrd"

    @property
    def report(self) -> Path:
        """The report."""
        return self.folder / "report.json"

    def named_with(self, paths: StudyPaths) -> dict[str, str]:
        """Inputs and outputs by the names that command line and worker share."""
        sequences = {"flair": paths.flair, "t1": paths.t1, "t1c": paths.t1c}
        outputs = {"output": self.segmentation, "probability": self.probability, "report": self.report}
        return {name: str(path) for name, path in (sequences | outputs).items() if path is not None}

    def read(self, flair: Path, seconds: float) -> Segmentation:
        """Raises GeometryError if the mask or the probability does not lie on FLAIR's grid to 1e-6."""
        geometry = Geometry.of_image(sitk.ReadImage(str(flair)))
        mask = np.asarray(_axial(self.segmentation, geometry)) > 0
        probability = np.asarray(_axial(self.probability, geometry), np.float32)
        return Segmentation(mask, probability, json.loads(self.report.read_text()), seconds)


def models_option(models: Path | None) -> list[str]:
    """The arguments by which the program uses a folder of models; none for the installed ones."""
    return [] if models is None else ["--models", str(models)]


def _axial(path: Path, geometry: Geometry) -> npt.NDArray[Any]:
    volume = Volume.of_image(sitk.ReadImage(str(path)))
    if not volume.geometry.is_close_to(geometry):
        raise DefectError(f"{path.name} does not lie on FLAIR's grid.", "This is a defect; please report it.")
    return AxialOrder.of(geometry).to_axial(volume.array)
