"""A synthetic study to try things on: FLAIR, T1 and T1 with contrast of a drawn head with a tumour, and its true mask.

Not a patient: made by formulas, then scanned as a clinic would, every sequence on its own oblique grid in thick slices
with partial volume, a smooth coil profile and Rician noise (Gudbjartsson & Patz, MRM 34 (1995) 910-914). Its files lie
in the module's Resources, where Slicer's Sample Data module finds them too.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from BrainTumorSegLib.engine.files import atomic_paths, output_errors
from BrainTumorSegLib.engine.resources import resource

FILE_PREFIX = "SampleStudy/BrainTumorSegSample_"
"""Of each file's path within the resources; what follows is the sequence and ".nii.gz"."""
_NAMES = ("flair", "t1", "t1c", "reference")


@dataclass(frozen=True)
class SamplePaths:
    """The files of the sample study; ``reference`` is the tumour's true mask (uint8, 0 or 1) on FLAIR's grid."""

    flair: Path
    t1: Path
    t1c: Path
    reference: Path


def write_sample(folder: Path) -> SamplePaths:
    """Writes the sample study into the folder, which is made if needed.

    Files: flair.nii.gz, t1.nii.gz, t1c.nii.gz (int16), reference.nii.gz (uint8, on FLAIR's grid). Raises OutputError
    if the folder can't be written, DefectError if the installation lacks a file.
    """
    targets = [folder / f"{name}.nii.gz" for name in _NAMES]
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic_paths(targets) as temporary:
        for name, path in zip(_NAMES, temporary, strict=True):
            with output_errors(folder):
                shutil.copyfile(resource(f"{FILE_PREFIX}{name}.nii.gz"), path)
    return SamplePaths(*targets)
