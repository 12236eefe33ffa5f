"""Whether another environment's packages give the same result: the sample study in float32 on the CPU, voxel by voxel.

    python benchmarks/versions.py PYTHON

PYTHON is the other environment's. Ends with 1 if a voxel of the mask differs, or a probability by more than rounding.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from BrainTumorSegLib.engine.inference.device import Compute
from BrainTumorSegLib.engine.inference.segmenter import Segmenter
from BrainTumorSegLib.engine.models.loading import load_model
from BrainTumorSegLib.engine.models.store import ModelStore
from BrainTumorSegLib.engine.sample.study import write_sample
from BrainTumorSegLib.engine.study.reading import StudyPaths, read_study

PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK")
ROUNDING = 1e-4


def main() -> int:
    """Compares and prints; or, for the other environment, writes what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", nargs="?", metavar="PYTHON")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write is not None:
        _write(arguments.write)
        return 0
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("here.npz", "there.npz")]
        for python, file in zip((sys.executable, arguments.python), files, strict=True):
            subprocess.run([python, __file__, "--write", str(file)], check=True)
        here, there = (np.load(file) for file in files)
        different = int(np.count_nonzero(here["mask"] != there["mask"]))
        largest = float(np.abs(here["probability"] - there["probability"]).max())
        for found in (here, there):
            print(", ".join(str(each) for each in found["packages"]))
    print(
        f"{different} of {int(here['mask'].sum())} voxels of the mask differ, probabilities by at most {largest:.1e}."
    )
    return int(different > 0 or largest > ROUNDING)


def _write(file: Path) -> None:
    with TemporaryDirectory() as folder:
        sample = write_sample(Path(folder))
        study = read_study(StudyPaths(sample.flair, sample.t1, sample.t1c))
    compute = Compute(torch.device("cpu"), torch.float32, "CPU")
    found = Segmenter(load_model(ModelStore.default()), compute).segment(study)
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    np.savez(file, mask=found.mask, probability=found.probability, packages=packages)


if __name__ == "__main__":
    sys.exit(main())
